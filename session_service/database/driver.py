"""PostgreSQL's driver: a connection that gives up in time.

The server's own time limits are no help while the server is frozen, so each wait has one on this side. No SQL here.
"""

from collections.abc import Generator
from functools import cached_property
from time import monotonic
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from session_service import deadline

T = TypeVar("T")

STALE = {"0A000", "26000", "42P05"}
"""PostgreSQL's feature_not_supported, invalid_sql_statement_name and duplicate_prepared_statement: a statement was
prepared before a column's type changed, is not prepared any more, or is already. Its connection is closed."""


class BoundedConnection(psycopg.Connection[Any]):
    """psycopg's connection, except that no wait lasts past the request's deadline."""

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server's answer.

        Raises:
            psycopg.OperationalError: the deadline has passed. The connection is closed: a late answer would be taken
                for the answer to the next statement.
        """
        left = deadline.seconds_left()
        try:
            return super().wait(gen, interval, timeout if left is None else left)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise

    is_of_service = False
    """Whether `Connections` says when a transaction begins. Otherwise SQLAlchemy does: in migrations, for example."""

    begins = False
    """Whether the next statement begins a transaction: it is sent together with `BEGIN`.

    The connection stays in autocommit mode: psycopg would wait for the answers to `BEGIN` and to `COMMIT`.
    """

    def begin_if_due(self) -> None:
        """Send `BEGIN` if the next statement begins a transaction."""
        if self.begins:
            self.begins = False
            self.wait(self._exec_command("BEGIN"))  # `execute` would get ready for values and rows

    @cached_property
    def prepared_statements(self) -> dict[bytes, Any]:
        """By name: the statements that are prepared on this connection (`round_trip`)."""
        return {}

    def rollback(self) -> None:
        """Roll back; do nothing without a transaction, because the pool calls this each time a connection returns."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Generator[Any, Any, "BoundedConnection"]:
        # psycopg waits at least 2 seconds for a connection, and that for each address of the host name.
        return (yield from _in_time(super()._connect_gen(conninfo), deadline.seconds_left()))


def driver_of(connection: Connection) -> BoundedConnection:
    """Return the driver's connection to PostgreSQL that one of SQLAlchemy's uses."""
    return cast(BoundedConnection, connection.connection.driver_connection)


def _in_time(steps: Generator[Any, Any, T], seconds: float | None) -> Generator[Any, Any, T]:
    """Run *steps*, which report from time to time that nothing arrived; raise once that lasts *seconds*."""
    until = None if seconds is None else monotonic() + seconds
    wanted = next(steps)
    while True:
        came = yield wanted
        if not came and until is not None and monotonic() > until:
            steps.close()
            raise psycopg.errors.ConnectionTimeout("the server did not answer in time")
        try:
            wanted = steps.send(came)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
