"""How connections to the two databases behave: URLs, time limits, and how a transaction begins.

No tables and no queries here.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

WRITES = "session_service_writes"
"""Execution option of a transaction that will write: SQLite must take its lock at once."""

CONNECT_SECONDS = 2
WAIT_SECONDS = 2
"""How long a statement, a lock or a free connection is waited for."""


def database_url(url: str) -> str:
    """Return *url* as SQLAlchemy wants it: `postgres://` and `postgresql://` both mean psycopg 3."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} and separator else url


def database_problem(url: str) -> str | None:
    """Return what is wrong with *url*, in words that hold nothing of it, or None."""
    try:
        parsed = make_url(database_url(url))
    except (ArgumentError, ValueError):
        return "must be a database URL, with special characters of a password percent-encoded"
    if parsed.drivername == "postgresql+psycopg":
        return None if _libpq_knows(parsed.query) else "has an option that PostgreSQL's client library does not know"
    if parsed.drivername != "sqlite":
        return "must begin with postgresql://, postgres:// or sqlite:///"
    if parsed.host or parsed.query or not parsed.database or parsed.database.startswith((":memory:", "file:")):
        return "must name a file, as sqlite:///path without options: an SQLite database in memory cannot be shared"
    return None


def _libpq_knows(query: Mapping[str, object]) -> bool:
    try:
        make_conninfo("", **dict.fromkeys(query, "1"))
    except ProgrammingError:
        return False
    return str(query.get("connect_timeout", "1")).isdecimal()


def engine_options(url: str) -> dict[str, Any]:
    """Return what `create_engine` needs so that every wait for the database at *url* is bounded."""
    given = make_url(url)
    if given.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": WAIT_SECONDS}, "pool_timeout": WAIT_SECONDS}
    wait = WAIT_SECONDS * 1_000
    defaults = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": wait}
    ours = f"-c statement_timeout={wait} -c lock_timeout={wait} -c timezone=UTC"
    return {
        "connect_args": {
            **{name: value for name, value in defaults.items() if name not in given.query},
            # The URL may name a schema here (`?options=-csearch_path%3D…`).
            "options": f"{given.query.get('options', '')} {ours}".strip(),
        },
        "pool_timeout": WAIT_SECONDS,
        "pool_pre_ping": True,
    }


def prepare_engine(engine: Engine) -> None:
    """Make transactions on *engine* mean what they say, on SQLite too."""
    if engine.dialect.name != "sqlite":
        return
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_on_sqlite)


def _prepare_sqlite_connection(connection: DBAPIConnection, _record: object) -> None:
    # The driver's own idea of when a transaction begins would end ours at the first DDL statement.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails with "database is locked" as soon as
    # another one wrote in between, however long it would be willing to wait.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
