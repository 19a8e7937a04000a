"""How connections to the two databases behave: URLs, how a transaction begins, and what a connection must prove.

No tables and no queries here; how long a connection may take is in `connection`.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import nullcontext
from time import monotonic
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from session_service import deadline
from session_service.connection import BoundedConnection, driver_of

WRITES = "session_service_writes"
"""Execution option that says whether a transaction will write. SQLite must take its lock at once then; on PostgreSQL
one that will not is none at all: each statement stands for itself, and two round trips are saved."""

LONG = "session_service_long"
"""Execution option of a transaction whose statements may take as long as they take, where the server has a limit."""

CONNECT_SECONDS = 0.8
"""For a new connection: after an outage the first good answer waits no longer than for a try into the void."""

PING_SECONDS = 0.5
"""For a sign of life of a connection that was not used for `FRESH_SECONDS`."""

FRESH_SECONDS = 1.0
WAIT_SECONDS = 2
"""How long the server lets a statement run, or wait for a lock."""


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


def engine_options(url: str, connections: int) -> dict[str, Any]:
    """Return what `create_engine` needs for at most so many *connections*, whose server ends what takes too long."""
    given = make_url(url)
    pool = {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": WAIT_SECONDS,
        # An unexpected error is logged with its stack, but not with what somebody's row should have held.
        "hide_parameters": True,
    }
    if given.get_backend_name() == "sqlite":
        return pool
    wait = WAIT_SECONDS * 1_000
    ours = f"-c statement_timeout={wait} -c lock_timeout={wait} -c timezone=UTC"
    connect_args = {
        # The URL may name a schema here (`?options=-csearch_path%3D…`).
        "options": f"{given.query.get('options', '')} {ours}".strip(),
        **({} if "tcp_user_timeout" in given.query else {"tcp_user_timeout": wait}),
    }
    # Each statement stands alone, unless `_begin_on_postgresql` was asked for more.
    return {**pool, "connect_args": connect_args, "isolation_level": "AUTOCOMMIT"}


def prepare_engine(engine: Engine) -> None:
    """Make connections of *engine* give up in time, and transactions mean what they say, on SQLite too."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _open_sqlite_file)
        event.listen(engine, "connect", _prepare_sqlite_connection)
        event.listen(engine, "checkout", _require_same_file)
        event.listen(engine, "begin", _begin_on_sqlite)
    else:
        signs = _SignsOfLife()
        event.listen(engine, "do_connect", _connect_in_time)
        event.listen(engine, "checkin", _let_statements_stand_alone)
        event.listen(engine, "checkin", signs.note_use)
        event.listen(engine, "invalidate", signs.note_break)
        event.listen(engine, "checkout", signs.require)
        event.listen(engine, "begin", _begin_on_postgresql)


def _connect_in_time(_dialect: object, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    seconds = float(options.get("connect_timeout", CONNECT_SECONDS))
    # As libpq has it: 0 is no limit, so the request's own counts.
    with deadline.at_most(seconds) if seconds else nullcontext():
        return BoundedConnection.connect(*args, **options)


def _let_statements_stand_alone(connection: Any, _record: object) -> None:
    if connection is not None and not connection.closed and not connection.autocommit:
        connection.autocommit = True


class _SignsOfLife:
    """Which connections of a pool are asked first whether their server is there: it may have been restarted since."""

    def __init__(self) -> None:
        self._broke_at = 0.0

    def note_use(self, _connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = monotonic()

    def note_break(self, _connection: object, _record: object, _error: object) -> None:
        """Distrust all others too."""
        self._broke_at = monotonic()

    def require(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Ask a connection that has rested, or has not been used since another one broke."""
        used_at = record.info.get("used_at")
        if used_at is None or used_at > max(self._broke_at, monotonic() - FRESH_SECONDS):
            return
        try:
            with deadline.at_most(PING_SECONDS):
                connection.execute("")
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _open_sqlite_file(_dialect: object, record: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Open a file that is there: a new, empty database in place of one that is gone would answer for it."""
    path = str(args[0])
    # Looked at first: if the file is replaced in between, the connection is not used.
    record.info["file"] = _file_at(path)
    return sqlite3.connect(f"file:///{quote(path.lstrip('/'))}?mode=rw", uri=True, **options)


def _require_same_file(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Let go of a file that was removed or replaced: what is written into it is lost with the last connection."""
    path, _ = opened = record.info["file"]
    if _file_at(path) != opened:
        raise InvalidatePoolError


def _file_at(path: str) -> tuple[str, tuple[int, int] | None]:
    try:
        found = os.stat(path)
    except OSError:
        return path, None
    return path, (found.st_dev, found.st_ino)


def _prepare_sqlite_connection(connection: DBAPIConnection, _record: object) -> None:
    # The driver's own idea of when a transaction begins would end ours at the first DDL statement.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_on_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    takes_long = options.get(LONG, False)
    if options.get(WRITES, True) or takes_long:
        driver_of(connection).autocommit = False  # it says BEGIN before the first statement
    if takes_long:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _begin_on_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails with "database is locked" as soon as
    # another one wrote in between, however long it would be willing to wait.
    writes = connection.get_execution_options().get(WRITES, False)
    left = deadline.seconds_left()
    wait = WAIT_SECONDS if left is None else min(left, WAIT_SECONDS)
    connection.connection.cursor().execute(f"PRAGMA busy_timeout = {wait * 1_000:.0f}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
