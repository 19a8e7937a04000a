"""A connection to PostgreSQL that gives up: the server's own time limits are no help while the server is frozen."""

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from session_service import deadline

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """psycopg's connection, but no wait lasts past the deadline of the request that waits."""

    def wait(self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for what the server answers.

        Raises:
            psycopg.OperationalError: the deadline has passed; the connection is closed then, for an answer that
                came later would be taken for the answer to the next question.
        """
        left = deadline.seconds_left()
        try:
            return super().wait(gen, interval, timeout if left is None else left)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise

    def rollback(self) -> None:
        """Undo what was begun; where nothing was, the pool asks for this all the same, and nothing is to be done."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def _rollback_gen(self) -> Generator[Any, Any, None]:
        # psycopg forgets whatever it has prepared; but where no statement failed, a sign-in was just refused.
        if self.pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from self._exec_command(b"ROLLBACK")
        else:
            yield from super()._rollback_gen()

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Generator[Any, Any, "BoundedConnection"]:
        # psycopg waits for a connection 2 seconds at least, and for each address of a name.
        return (yield from _in_time(super()._connect_gen(conninfo), deadline.seconds_left()))


def driver_of(connection: Connection) -> BoundedConnection:
    """Return the driver's own connection beneath one of SQLAlchemy's, to PostgreSQL."""
    return cast(BoundedConnection, connection.connection.driver_connection)


def _in_time(steps: Generator[Any, Any, T], seconds: float | None) -> Generator[Any, Any, T]:
    """Go on with *steps*, which are told now and then that nothing came; raise when that lasts *seconds*."""
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
