"""Statements that are asked again and again: built once by SQLAlchemy, and on PostgreSQL run by the driver itself.

There, SQLAlchemy's own way of running one takes several times as long as the driver's. No SQL here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import psycopg
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from session_service.connection import BoundedConnection, driver_of

Values = Mapping[str, Any]

STALE = {"0A000", "26000"}
"""PostgreSQL's feature_not_supported and invalid_sql_statement_name: what it says of a statement that was prepared
before a column's type was changed, or is not prepared any more. Its connection is given up."""

_POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Answer(Protocol):
    """What a statement came to, as SQLAlchemy and the driver both give it."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Return the next row, a tuple in the order of the columns; None where there are no more."""

    def fetchall(self) -> Sequence[Any]:
        """Return the rows that are left."""


class _Compiled(NamedTuple):
    sql: str
    fixed: dict[str, Any]
    """Values that the statement itself holds."""
    converters: dict[str, Callable[[Any], Any]]
    """What the columns' types do to a value on its way, such as refuse a naive datetime."""


class Prepared:
    """A statement with named parameters, for both databases."""

    def __init__(self, statement: Any, *, on_sqlite: Any = None) -> None:
        self._statement, self._on_sqlite = statement, statement if on_sqlite is None else on_sqlite

    def run(self, connection: Connection, values: Values) -> Answer:
        """Run it with *values* within the transaction of *connection*.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: it was refused or not answered, as of any other statement.
            ValueError: a naive datetime is among *values*.
        """
        if connection.dialect.name == "sqlite":
            return connection.execute(self._on_sqlite, values)
        with _driver(connection) as driver:
            return self._send(driver, values)

    def _send(self, driver: BoundedConnection, values: Values) -> Answer:
        sql, fixed, converters = self._compiled
        given = {**fixed, **values}
        for name, convert in converters.items():
            given[name] = convert(given[name])
        return driver.execute(sql, given, prepare=True)

    @cached_property
    def _compiled(self) -> _Compiled:
        compiled: SQLCompiler = self._statement.compile(dialect=_POSTGRESQL)
        processors = {
            name: bind.type.dialect_impl(_POSTGRESQL).bind_processor(_POSTGRESQL)
            for name, bind in compiled.binds.items()
        }
        return _Compiled(
            sql=compiled.string,
            fixed={name: value for name, value in compiled.params.items() if value is not None},
            converters={name: processor for name, processor in processors.items() if processor},
        )


def run_all(connection: Connection, questions: Sequence[tuple[Prepared, Values]]) -> list[Answer]:
    """Run several statements in this order, none of which needs the answer to another; on PostgreSQL in one round trip.

    There, each still sees what is on record when its turn comes: after a lock, what was done before the lock was free.

    Raises:
        What `Prepared.run` does.
    """
    if connection.dialect.name == "sqlite":
        return [statement.run(connection, values) for statement, values in questions]
    with _driver(connection) as driver, driver.pipeline():
        return [statement._send(driver, values) for statement, values in questions]


@contextmanager
def _driver(connection: Connection) -> Iterator[BoundedConnection]:
    """Lend the driver's connection; what it raises is raised as SQLAlchemy does."""
    driver = driver_of(connection)
    try:
        yield driver
    except psycopg.Error as error:
        if driver.closed or error.sqlstate in STALE:
            connection.invalidate(error)
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error
