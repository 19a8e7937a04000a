"""PostgreSQL's driver: a connection that gives up in time, and statements that the driver runs by itself.

The server's own time limits are no help while the server is frozen, so each wait has one on this side. Statements that
run often are built once by SQLAlchemy and run by the driver: SQLAlchemy's own way of running one takes several times as
long. No SQL here.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from session_service import deadline

T = TypeVar("T")

Values = Mapping[str, Any]

STALE = {"0A000", "26000"}
"""PostgreSQL's feature_not_supported and invalid_sql_statement_name: a statement was prepared before a column's type
changed, or is not prepared any more. Its connection is closed."""

_POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


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

    begins = False
    """Whether the next statement begins a transaction: it is sent together with `BEGIN`.

    The connection stays in autocommit mode: psycopg would wait for the answers to `BEGIN` and to `COMMIT`.
    """

    def begin_if_due(self) -> None:
        """Send `BEGIN` if the next statement begins a transaction."""
        if self.begins:
            self.begins = False
            self.execute("BEGIN")

    @cached_property
    def statement_cursor(self) -> psycopg.Cursor[Any]:
        """The cursor of single prepared statements: a new one for each costs half as much as the statement itself.

        Its result is read before the next statement runs. Rows come in the binary format.
        """
        return self.cursor(binary=True)

    def rollback(self) -> None:
        """Roll back; do nothing without a transaction, because the pool calls this each time a connection returns."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def _rollback_gen(self) -> Generator[Any, Any, None]:
        # psycopg drops its prepared statements at a rollback. Keep them where no statement failed: a refused sign-in
        # is no reason to prepare everything again.
        if self.pgconn.transaction_status == TransactionStatus.INTRANS:
            yield from self._exec_command(b"ROLLBACK")
        else:
            yield from super()._rollback_gen()

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


class Answer(Protocol):
    """The result of a statement, as SQLAlchemy and the driver both give it."""

    @property
    def rowcount(self) -> int:
        """Number of changed rows."""

    def fetchone(self) -> Any:
        """Return the next row, a tuple in the order of the columns; None if there is none."""

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows."""


class _Compiled(NamedTuple):
    sql: str
    fixed: dict[str, Any]
    """Values that the statement itself contains."""
    converters: dict[str, Callable[[Any], Any]]
    """By parameter: the conversion by the column's type, which refuses a naive datetime, for example."""


class Prepared:
    """A statement with named parameters, for both databases."""

    def __init__(self, statement: Any, *, on_sqlite: Any = None) -> None:
        self._statement, self._on_sqlite = statement, statement if on_sqlite is None else on_sqlite

    def run(self, connection: Connection, values: Values) -> Answer:
        """Run it with *values* within the transaction of *connection*.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused it or did not answer.
            ValueError: a naive datetime is among *values*.
        """
        if connection.dialect.name == "sqlite":
            result = connection.execute(self._on_sqlite, values)
            # Rows that are not read yet would prevent a commit.
            return result.freeze()() if result.returns_rows else result  # type: ignore[return-value]
        with _driver(connection) as driver:
            if not driver.begins:
                return self._send(driver.statement_cursor, values)
        return run_all(connection, [(self, values)])[0]

    def _send(self, cursor: psycopg.Cursor[Any], values: Values) -> psycopg.Cursor[Any]:
        sql, fixed, converters = self._compiled
        given = {**fixed, **values}
        for name, convert in converters.items():
            given[name] = convert(given[name])
        return cursor.execute(sql, given, prepare=True)

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
    with _driver(connection) as driver, driver.pipeline():
        if statements:
            driver.begin_if_due()
        cursors = [statement._send(driver.cursor(binary=True), values) for statement, values in statements]
        if commits and not driver.begins:
            driver.execute("COMMIT")
    return list(cursors)


@contextmanager
def _driver(connection: Connection) -> Iterator[BoundedConnection]:
    """Give the driver's connection to a block; raise the driver's errors as SQLAlchemy's."""
    driver = driver_of(connection)
    try:
        yield driver
    except psycopg.Error as error:
        if driver.closed or error.sqlstate in STALE:
            connection.invalidate(error)
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error
