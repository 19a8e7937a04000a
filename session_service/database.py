"""How connections to the two databases behave: URLs, time limits, and how a transaction begins.

No tables and no queries here.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

WRITES = "session_service_writes"
"""Execution option of a transaction that will write: SQLite must take its lock at once."""

CONNECT_SECONDS = 2
WAIT_SECONDS = 2
"""How long a statement, a lock or a free connection is waited for."""


def database_url(url: str) -> str:
    """Return *url* as SQLAlchemy wants it: `postgres://` and `postgresql://` both mean psycopg 3."""
    scheme, rest = url.split("://", 1)
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url


def engine_options(url: str) -> dict[str, Any]:
    """Return what `create_engine` needs so that every wait for the database at *url* is bounded."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": WAIT_SECONDS}, "pool_timeout": WAIT_SECONDS}
    wait = WAIT_SECONDS * 1_000
    return {
        "connect_args": {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": wait,
            "options": f"-c statement_timeout={wait} -c lock_timeout={wait} -c timezone=UTC",
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
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails with "database is locked" as soon as
    # another one wrote in between, however long it would be willing to wait.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
