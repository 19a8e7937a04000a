"""Statements that are built once by SQLAlchemy and, on PostgreSQL, run by the driver itself.

SQLAlchemy's own way of running one takes several times as long. No SQL here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from typing import Any, Protocol

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from session_service.database.driver import STALE, BoundedConnection, driver_of
from session_service.database.round_trip import Statement, run_one, run_together

Values = Mapping[str, Any]

_POSTGRESQL = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

_numbers = count(1)


class Answer(Protocol):
    """The result of a statement, as SQLAlchemy and the driver both give it."""

    @property
    def rowcount(self) -> int:
        """Number of changed rows."""

    def fetchone(self) -> Any:
        """Return the next row, a tuple in the order of the columns; None if there is none."""

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows."""


class _Rows:
    """A result that was read, so that its connection can be used again."""

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self.rowcount = rowcount
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> Sequence[Any]:
        return list(self._rows)


class _Compiled:
    """A statement for PostgreSQL, with the order and the conversions of its values."""

    def __init__(self, statement: Any) -> None:
        compiled: SQLCompiler = statement.compile(dialect=_POSTGRESQL)
        processors = {
            name: bind.type.dialect_impl(_POSTGRESQL).bind_processor(_POSTGRESQL)
            for bind, name in compiled.bind_names.items()
        }
        self.statement = Statement(b"session_service_%d" % next(_numbers), compiled.string.encode())
        self._order = compiled.positiontup or []
        # Values that the statement itself contains.
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        # By place: the conversion by the column's type, which refuses a naive datetime, for example.
        found = ((place, processors[name]) for place, name in enumerate(self._order))
        self._converters = [(place, processor) for place, processor in found if processor]

    def ordered(self, values: Values) -> Sequence[Any]:
        """Return *values* in the order of the parameters, converted."""
        given = {**self._fixed, **values} if self._fixed else values
        ordered = [given[name] for name in self._order]
        for place, convert in self._converters:
            ordered[place] = convert(ordered[place])
        return ordered


class Prepared:
    """A statement with named parameters, for both databases."""

    def __init__(self, statement: Any, *, on_sqlite: Any = None, before_on_sqlite: Sequence["Prepared"] = ()) -> None:
        """Keep a statement of SQLAlchemy.

        Args:
            statement: the one for both databases, or for PostgreSQL.
            on_sqlite: the one for SQLite, if it differs.
            before_on_sqlite: what PostgreSQL does in the same statement; with the same values.
        """
        self._statement, self._on_sqlite = statement, statement if on_sqlite is None else on_sqlite
        self._before_on_sqlite = before_on_sqlite

    def run(self, connection: Connection, values: Values) -> Answer:
        """Run it with *values* within the transaction of *connection*.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused it or did not answer.
            ValueError: a naive datetime is among *values*.
        """
        if connection.dialect.name == "sqlite":
            for part in self._before_on_sqlite:
                part.run(connection, values)
            result = connection.execute(self._on_sqlite, values)
            # Rows that are not read yet would prevent a commit.
            return _Rows(result.all(), result.rowcount) if result.returns_rows else result
        driver = driver_of(connection)
        if driver.begins:
            return run_all(connection, [(self, values)])[0]
        compiled = self.compiled
        try:
            return _Rows(*run_one(driver, compiled.statement, compiled.ordered(values)))
        except psycopg.Error as error:
            raise _as_of_sqlalchemy(connection, driver, error) from error

    def run_many(self, connection: Connection, values: Sequence[Values]) -> Sequence[Any]:
        """Run it once for each of *values*, in a few statements; return the rows of all, in no order.

        Raises:
            What `run` raises.
        """
        statement = self._on_sqlite if connection.dialect.name == "sqlite" else self._statement
        return connection.execute(statement, values).all()

    @cached_property
    def compiled(self) -> _Compiled:
        """The statement for PostgreSQL."""
        return _Compiled(self._statement)


def run_all(
    connection: Connection, statements: Sequence[tuple[Prepared, Values]], *, commits: bool = False
) -> list[Answer]:
    """Run statements in this order; on PostgreSQL in one round trip. None may need another one's answer.

    Each statement sees what is committed when it begins, so those after a lock see the state after the lock was taken.

    Args:
        commits: on PostgreSQL, also commit, in the same round trip. If a statement fails, nothing is committed.

    Raises:
        What `Prepared.run` raises.
    """
    if connection.dialect.name == "sqlite":
        return [statement.run(connection, values) for statement, values in statements]
    ordered = [(one.compiled.statement, one.compiled.ordered(values)) for one, values in statements]
    driver = driver_of(connection)
    if not ordered and (driver.begins or driver.pgconn.transaction_status == TransactionStatus.IDLE):
        return []  # nothing was done, so there is nothing to commit
    begins, driver.begins = driver.begins, False
    try:
        return [_Rows(*result) for result in run_together(driver, ordered, begins=begins, commits=commits)]
    except psycopg.Error as error:
        raise _as_of_sqlalchemy(connection, driver, error) from error


@contextmanager
def driver_for(connection: Connection) -> Iterator[BoundedConnection]:
    """Give the driver's connection to a block; raise the driver's errors as SQLAlchemy's."""
    driver = driver_of(connection)
    try:
        yield driver
    except psycopg.Error as error:
        raise _as_of_sqlalchemy(connection, driver, error) from error


def _as_of_sqlalchemy(connection: Connection, driver: BoundedConnection, error: psycopg.Error) -> BaseException:
    if driver.closed or error.sqlstate in STALE:
        connection.invalidate(error)
    return DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
