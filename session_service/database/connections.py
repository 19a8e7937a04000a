"""The connections of one process: at most so many at once, and on PostgreSQL kept ready between transactions.

To take a connection from SQLAlchemy's pool and to return it costs as much as a prepared statement. So a connection to
PostgreSQL stays checked out, and the one that was used last is used next. An SQLite file is opened by the pool.
"""

from contextlib import AbstractContextManager
from time import monotonic
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from session_service import deadline
from session_service.bulkhead import Bulkhead
from session_service.database.driver import BoundedConnection, driver_of
from session_service.limits import DATABASE_STALL_SECONDS, PING_AFTER_SECONDS, PING_SECONDS, REQUEST_SECONDS

WRITES = "session_service_writes"
"""Execution option: whether a transaction will write. SQLite must then take its lock at the beginning. On PostgreSQL,
SQLAlchemy's own transactions (of migrations) are transactions unless this is false."""

LONG = "session_service_long"
"""Execution option of SQLAlchemy's own transactions on PostgreSQL: their statements have no time limit there."""


class _Idle(NamedTuple):
    connection: Connection
    driver: BoundedConnection
    since: float
    """By the monotonic clock."""


class Connections:
    """Gives connections to transactions."""

    def __init__(self, engine: Engine, most: int) -> None:
        self.bulkhead = Bulkhead(most, stall_timeout=DATABASE_STALL_SECONDS, max_wait=REQUEST_SECONDS)
        """To be held around `one`. It must learn whether the database answered."""
        self._engine = engine
        self._keeps = engine.dialect.name == "postgresql"
        self._idle: list[_Idle] = []
        self._broke_at = 0.0
        event.listen(engine, "engine_disposed", self._close_idle)

    def one(self) -> AbstractContextManager[Connection]:
        """Hold a connection without a transaction for a block. What is left uncommitted is rolled back.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: a new connection could not be made.
        """
        return _Held(self) if self._keeps else self._engine.connect()

    def begin(self, connection: Connection, *, writes: bool, takes_long: bool = False) -> None:
        """Begin a transaction that writes, or whose statements have no time limit on the server.

        On PostgreSQL `BEGIN` is sent with the first statement, and SQLAlchemy learns of the transaction when it runs a
        statement itself. What only reads is no transaction there: each statement stands for itself, which saves two
        round trips.
        """
        if not self._keeps:
            connection.execution_options(**{WRITES: writes}).begin()
            return
        driver_of(connection).begins = True
        if takes_long:
            lift_time_limit(connection)

    def take(self) -> tuple[Connection, BoundedConnection]:
        """Return the connection to PostgreSQL that was used last, or a new one."""
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                connection = self._engine.connect()
                driver = driver_of(connection)
                driver.is_of_service = True
                return connection, driver
            if self._answers(idle):
                return idle.connection, idle.driver
            self._drop(idle.connection)

    def give_back(self, connection: Connection, driver: BoundedConnection) -> None:
        """Keep a connection to PostgreSQL for the next transaction, if it can be used again."""
        if not driver.closed and not connection.invalidated and _reset(connection, driver):
            self._idle.append(_Idle(connection, driver, monotonic()))
        else:
            self._drop(connection)

    def _answers(self, idle: _Idle) -> bool:
        """Return whether a connection works; ask it if it was idle for a while, or since before another one broke."""
        if idle.since > max(self._broke_at, monotonic() - PING_AFTER_SECONDS):
            return True
        try:
            with deadline.at_most(PING_SECONDS):
                idle.driver.execute("")
        except psycopg.Error:
            return False
        return True

    def _drop(self, connection: Connection) -> None:
        """Close a connection, and distrust all that were idle before this moment."""
        self._broke_at = monotonic()
        connection.invalidate()
        connection.close()

    def _close_idle(self, _engine: Engine) -> None:
        while self._idle:
            idle = self._idle.pop()
            idle.connection.detach()
            idle.connection.close()


class _Held:
    """A connection to PostgreSQL, while a block holds it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __enter__(self) -> Connection:
        self._connection, self._driver = self._connections.take()
        return self._connection

    def __exit__(self, *_error: object) -> None:
        self._connections.give_back(self._connection, self._driver)


def lift_time_limit(connection: Connection) -> None:
    """Let the statements of the current transaction on PostgreSQL take as long as they take."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _reset(connection: Connection, driver: BoundedConnection) -> bool:
    """End what is left of a transaction; return whether the connection can be used again."""
    try:
        if connection.in_transaction():
            connection.rollback()
        driver.rollback()
        driver.begins = False
    except (psycopg.Error, SQLAlchemyError):
        return False
    return True
