"""One use case, one transaction: how it begins and ends, and what it means if the database does not answer."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from session_service import deadline, events, metrics
from session_service.bulkhead import BulkheadFull
from session_service.database.connections import Connections
from session_service.database.driver import STALE
from session_service.database.engine import db
from session_service.database.event_statements import ADD_ENDED, CREATE, written_event
from session_service.database.prepared import Answer, Prepared, Values, run_all
from session_service.database.statements import ADD_COMMAND_ENDS
from session_service.errors import DatabaseUnavailable
from session_service.limits import COMMAND_TRANSACTION_SECONDS, LONG_TRANSACTION_SECONDS
from session_service.records import WrittenEvent

MAX_EVENTS_WITH_COMMIT = 10
"""More events are written in a round trip of their own."""

TABLES_MISSING = {"42P01", "42703"}
"""PostgreSQL's undefined_table and undefined_column: the migrations have not run (SQLite: an OperationalError)."""

_log = logging.getLogger(__name__)


class Later:
    """The answer of a statement that runs with the commit."""

    answer: Answer
    """Set once the transaction is committed."""


@dataclass
class _Transaction:
    connection: Connection
    at_commit: list[tuple[Prepared, Values, Later]] = field(default_factory=list)
    created: dict[int, Values] = field(default_factory=dict)
    ended: dict[int, Values] = field(default_factory=dict)
    """The events to be written, by session: values of `CREATE` and `ADD_ENDED`."""
    events: list[WrittenEvent] = field(default_factory=list)
    """Those that were written."""


_current: ContextVar[_Transaction] = ContextVar("transaction")
_is_command: ContextVar[bool] = ContextVar("is_command", default=False)


@contextmanager
def transaction(*, writes: bool = False, takes_long: bool = False) -> Iterator[None]:
    """Run a block in one transaction: all of it is committed, or nothing.

    Args:
        writes: without it no lock is taken and nothing is committed. On SQLite the block sees one state; on PostgreSQL
            each statement sees what is committed by then, as it would at READ COMMITTED anyway, and the round trips
            of BEGIN and COMMIT are saved.
        takes_long: the statements have no time limit on the server: counting all rows takes as long as it takes.

    Raises:
        DatabaseUnavailable: there was no answer in time, the connection broke (perhaps during the commit), or all
            connections of this process wait for answers.
    """
    began_at = monotonic()
    limit = LONG_TRANSACTION_SECONDS if takes_long else COMMAND_TRANSACTION_SECONDS
    connections = db.connections
    try:
        # A request has an earlier deadline of its own.
        with deadline.at_most(limit), connections.bulkhead as waited, _unavailable_if_silent():
            if waited:
                metrics.database_wait.observe(waited)
            with connections.one() as connection:
                current = _Transaction(connection)
                token = _current.set(current)
                try:
                    if writes or takes_long:
                        connections.begin(connection, writes=writes, takes_long=takes_long)
                    yield
                    if writes:
                        _commit(current)
                finally:
                    _current.reset(token)
    except BulkheadFull as error:
        metrics.database_refusals.labels("no_connection").inc()
        raise DatabaseUnavailable(retry_after=1) from error
    finally:
        if writes:
            metrics.database_transactions.observe(monotonic() - began_at)
    events.publish(current.events)


@contextmanager
def attempt(connections: Connections) -> Iterator[None]:
    """Run a block that reads, without an application context. What fails is not reported: the caller has another way.

    Raises:
        DatabaseUnavailable: as `transaction` does.
        BulkheadFull: all connections of this process wait for answers.
    """
    with connections.bulkhead as waited:
        if waited:
            metrics.database_wait.observe(waited)
        try:
            with connections.one() as connection:
                token = _current.set(_Transaction(connection))
                try:
                    yield
                finally:
                    _current.reset(token)
        except BaseException as error:
            if _is_unavailable(error):
                raise DatabaseUnavailable from error
            raise


@contextmanager
def _unavailable_if_silent() -> Iterator[None]:
    """Raise `DatabaseUnavailable` if the database did not answer. Count and log that; a command prints it instead."""
    metrics.connections_in_use.inc()
    try:
        yield
    except BaseException as error:
        if not _is_unavailable(error):
            raise
        metrics.database_refusals.labels("unavailable").inc()
        reason = in_short(error)
        if _is_command.get():
            raise DatabaseUnavailable(f"The database did not answer: {reason}") from error
        _log.warning("the database did not answer: %s", reason)
        raise DatabaseUnavailable(retry_after=1) from error
    finally:
        metrics.connections_in_use.dec()


@contextmanager
def as_command() -> Iterator[None]:
    """Run a block as a command, whose process has no metrics and whose error messages a person reads.

    The sessions that it ends are counted in the table `command_ends`, in the transactions that end them. If the
    database does not answer, that is not logged; the error contains the reason.
    """
    token = _is_command.set(True)
    try:
        yield
    finally:
        _is_command.reset(token)


def _commit(current: _Transaction) -> None:
    """Run what was left for the commit, write the events, and commit: one round trip on PostgreSQL."""
    created, ended = list(current.created.values()), list(current.ended.values())
    ended_rows: list[Any] = []
    if len(ended) > MAX_EVENTS_WITH_COMMIT:
        ended_rows += ADD_ENDED.run_many(current.connection, ended)
        ended = []
    statements = [(CREATE, values) for values in created]  # others may refer to a session that is new
    statements += [(statement, values) for statement, values, _ in current.at_commit]
    statements += [(ADD_ENDED, values) for values in ended]
    is_command = _is_command.get()
    answers = iter(run_all(current.connection, statements, commits=not is_command))
    created_rows = [next(answers).fetchone() for _ in created]
    for _, _, later in current.at_commit:
        later.answer = next(answers)
    for answer in answers:
        ended_rows += answer.fetchall()
    current.events = [written_event("created", current.created, row) for row in created_rows]
    current.events += [written_event("ended", current.ended, row) for row in ended_rows]
    if is_command:
        _count_ends_of_command(current.events)
    commit_rest(current.connection)


def commit_rest(connection: Connection) -> None:
    """Commit, unless that is done, and let SQLAlchemy know."""
    run_all(connection, (), commits=True)
    connection.commit()


def _count_ends_of_command(written: list[WrittenEvent]) -> None:
    ends = Counter(event.reason for event in written if event.what == "ended")
    # Sorted: two commands at once must not wait for each other's rows in turn.
    for reason, number in sorted(ends.items()):
        run_prepared(ADD_COMMAND_ENDS, {"reason": reason, "more": number})


def execute(statement: Executable, values: Any = None) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement within the current transaction."""
    return connection().execute(statement, values)


def run_prepared(statement: Prepared, values: Values) -> Answer:
    """Run a prepared statement within the current transaction."""
    return statement.run(connection(), values)


def run_all_prepared(*statements: tuple[Prepared, Values]) -> list[Answer]:
    """Run prepared statements in this order, in one round trip on PostgreSQL; none may need another one's answer."""
    return run_all(connection(), statements)


def connection() -> Connection:
    """Return the connection of the current transaction."""
    return _current.get().connection


def run_at_commit(statement: Prepared, values: Values) -> Later:
    """Run a prepared statement together with the commit of the current transaction, after those left for it before."""
    later = Later()
    _current.get().at_commit.append((statement, values, later))
    return later


def commit_so_far() -> None:
    """Commit, and begin another transaction on the same connection.

    Its id is higher than those of all transactions that are committed by now, which is the order of events.
    """
    commit_rest(connection())
    db.connections.begin(connection(), writes=True)


def create_at_commit(values: Values) -> None:
    """Run `CREATE` with these values together with the commit, and publish the event afterwards."""
    _current.get().created[values["session_id"]] = values


def add_ended_event(values: Values) -> None:
    """Write an event with the commit, of `ADD_ENDED` with these values, and publish it afterwards."""
    _current.get().ended[values["session_id"]] = values


def _is_unavailable(error: BaseException) -> bool:
    """Return whether the database was unavailable, rather than the statement wrong."""
    if isinstance(error, (ProgrammingError, NotSupportedError)):
        return getattr(error.orig, "sqlstate", None) in TABLES_MISSING | STALE
    # SQLite raises a plain DatabaseError for a file that is damaged or is no database.
    kinds = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)
    return isinstance(error, kinds) or type(error) is DatabaseError


def in_short(error: BaseException) -> str:
    """Return the driver's message on one line, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
