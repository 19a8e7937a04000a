"""Reads a table of another application, on PostgreSQL or SQLite: read-only, row by row, and never a table of ours."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Text, column, create_engine, event, inspect, make_url, select
from sqlalchemy import cast as sql_cast
from sqlalchemy import table as sql_table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from session_service.database.models import VERSION_TABLE, Base
from session_service.database.transaction import in_short
from session_service.database.urls import database_problem, database_url

_ROWS_AT_ONCE = 2_000
"""Rows that one round trip to PostgreSQL brings."""

_READ_ONLY = "-c default_transaction_read_only=on -c timezone=UTC -c datestyle=ISO"
_CONNECT_SECONDS = 10


class TableProblem(Exception):
    """The table cannot be read. The message has no part of the URL, which contains a password."""


class ApplicationTable:
    """One table or view, within one transaction that reads."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Look the table up; *name* may begin with a schema and a dot.

        Raises:
            TableProblem: there is no such table, or it belongs to this service.
        """
        self._connection = connection
        schema, _, plain = name.rpartition(".")
        found = inspect(connection)
        if not found.has_table(plain, schema or None):
            raise TableProblem(f"there is no table {name}")
        if plain in Base.metadata.tables and found.has_table(VERSION_TABLE, schema or None):
            raise TableProblem(f"{name} is a table of this service, not of an application")
        self.columns: list[str] = [one["name"] for one in found.get_columns(plain, schema or None)]
        self._table = sql_table(plain, *map(column, self.columns), schema=schema or None)

    def rows(self, names: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Yield the columns *names* of all rows, in no order.

        PostgreSQL's values are texts: a time as `2025-02-08 10:30:00+00`, with its offset if the column has one. So a
        value that Python does not have (`infinity`) is a text like any other. SQLite's values are as they are stored.

        Raises:
            TableProblem: the database did not answer, or refused.
        """
        columns = [self._table.c[name] for name in names]
        if self._connection.dialect.name == "postgresql":
            columns = [sql_cast(one, Text) for one in columns]  # type: ignore[misc]
        try:
            with self._connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(*columns)) as result:
                for row in result:
                    yield tuple(row)
        except SQLAlchemyError as error:
            raise TableProblem(f"the table could not be read: {in_short(error)}") from error


@contextmanager
def application_table(url: str, name: str) -> Iterator[ApplicationTable]:
    """Open the table *name* of the database at *url* for a block.

    Raises:
        TableProblem: the URL is no database's, the database does not answer, or see `ApplicationTable`.
    """
    problem = database_problem(url)
    if problem:
        raise TableProblem(f"the URL {problem}")
    engine = _engine(database_url(url))
    try:
        with engine.connect() as connection:
            opened = ApplicationTable(connection, name)
            yield opened
    except SQLAlchemyError as error:
        raise TableProblem(f"the database did not answer: {in_short(error)}") from error
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    given = make_url(url)
    if given.get_backend_name() != "sqlite":
        options = f"{given.query.get('options', '')} {_READ_ONLY}".strip()
        wait = {} if "connect_timeout" in given.query else {"connect_timeout": _CONNECT_SECONDS}
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"options": options, **wait})
    path = Path(given.database or "").absolute()
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "do_connect")
    def _open(*_args: object) -> sqlite3.Connection:
        opened = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        # Bytes that are not UTF-8 are a problem of one row.
        opened.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
        return opened

    return engine
