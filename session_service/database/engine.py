"""Connections to the two databases: their URLs, how a transaction begins, and when a pooled connection is checked.

No tables and no queries here; `driver` bounds each wait of a connection.
"""

import os
import sqlite3
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from session_service import deadline
from session_service.database.connections import LONG, WRITES, Connections, lift_time_limit
from session_service.database.driver import BoundedConnection, driver_of
from session_service.database.models import Base
from session_service.database.urls import database_url
from session_service.limits import CONNECT_SECONDS, STATEMENT_SECONDS


class Database(SQLAlchemy):
    """Flask-SQLAlchemy's extension, with the connections of each application."""

    def __init__(self) -> None:
        super().__init__(metadata=Base.metadata)
        self._connections: WeakKeyDictionary[Flask, Connections] = WeakKeyDictionary()

    def prepare(self, app: Flask, url: str, connections: int) -> None:
        """Give *app* at most so many *connections* to the database at *url*; none is made yet."""
        url = database_url(url)
        app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(url, connections))
        self.init_app(app)
        with app.app_context():
            prepare_engine(self.engine)
            self._connections[app] = Connections(self.engine, connections)

    @property
    def connections(self) -> Connections:
        """The connections that `using` gave, or else those of the current application."""
        return _given.get() or self.connections_of(current_app._get_current_object())  # type: ignore[attr-defined]

    def connections_of(self, app: Flask) -> Connections:
        """Return the connections of *app*, which was prepared."""
        return self._connections[app]


_given: ContextVar[Connections | None] = ContextVar("given", default=None)


class using:  # used like a function; a generator would take longer
    """Let the transactions of a block use *connections*, without an application context.

    To enter and to leave one takes longer than to run a statement.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> None:
        self._token = _given.set(self._connections)

    def __exit__(self, *_error: object) -> None:
        _given.reset(self._token)


db = Database()
migrate = Migrate()


def engine_options(url: str, connections: int) -> dict[str, Any]:
    """Return the arguments of `create_engine` for at most so many *connections*, with time limits on the server."""
    given = make_url(url)
    pool = {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": STATEMENT_SECONDS,
        # An unexpected error is logged with its stack, but without the values of somebody's row.
        "hide_parameters": True,
    }
    if given.get_backend_name() == "sqlite":
        return pool
    wait = round(STATEMENT_SECONDS * 1_000)
    ours = f"-c statement_timeout={wait} -c lock_timeout={wait} -c timezone=UTC"
    connect_args = {
        # psycopg prepares nothing by itself: it would deallocate all statements after an error, ours too.
        "prepare_threshold": None,
        # By default it is the database's; `round_trip` converts texts without asking.
        "client_encoding": "utf8",
        # The URL may name a schema here (`?options=-csearch_path%3D…`).
        "options": f"{given.query.get('options', '')} {ours}".strip(),
        **({} if "tcp_user_timeout" in given.query else {"tcp_user_timeout": wait}),
    }
    # Each statement is its own transaction, unless a `BEGIN` was sent before it.
    return {**pool, "connect_args": connect_args, "isolation_level": "AUTOCOMMIT"}


def prepare_engine(engine: Engine) -> None:
    """Bound the waits of *engine*'s connections, and make transactions on SQLite real ones."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "do_connect", _open_sqlite_file)
        event.listen(engine, "connect", _prepare_sqlite_connection)
        event.listen(engine, "checkout", _require_same_file)
        event.listen(engine, "begin", _begin_on_sqlite)
    else:
        event.listen(engine, "do_connect", _connect_in_time)
        event.listen(engine, "begin", _begin_on_postgresql)
        event.listen(engine, "before_cursor_execute", _begin_if_due)


def _connect_in_time(_dialect: object, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    seconds = float(options.get("connect_timeout", CONNECT_SECONDS))
    # In libpq 0 means no limit; the request's deadline still counts.
    with deadline.at_most(seconds) if seconds else nullcontext():
        return BoundedConnection.connect(*args, **options)


def _open_sqlite_file(_dialect: object, record: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Open an existing file; SQLite would otherwise create an empty database where the file is missing."""
    path = str(args[0])
    # Read before opening: if the file is replaced in between, the connection is not used.
    record.info["file"] = _file_at(path)
    return sqlite3.connect(f"file:///{quote(path.lstrip('/'))}?mode=rw", uri=True, **options)


def _require_same_file(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Drop the connection to a file that was removed or replaced; writes to it would be lost."""
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
    # The driver would begin transactions by itself, and end ours at the first DDL statement.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_on_postgresql(connection: Connection) -> None:
    driver = driver_of(connection)
    if driver.is_of_service:
        return  # see `Connections.begin`
    options = connection.get_execution_options()
    takes_long = options.get(LONG, False)
    driver.begins = options.get(WRITES, True) or takes_long
    if takes_long:
        lift_time_limit(connection)


def _begin_if_due(connection: Connection, *_statement: object) -> None:
    driver_of(connection).begin_if_due()


def _begin_on_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails with "database is locked" as soon as another
    # one wrote in between, however long the busy timeout is.
    writes = connection.get_execution_options().get(WRITES, False)
    left = deadline.seconds_left()
    wait = STATEMENT_SECONDS if left is None else min(left, STATEMENT_SECONDS)
    connection.connection.cursor().execute(f"PRAGMA busy_timeout = {wait * 1_000:.0f}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
