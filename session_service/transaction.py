"""One use case, one transaction: how it begins, ends, and what it means when the database does not answer."""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

from flask import current_app
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

from session_service import chronicle, metrics
from session_service.database import LONG, WRITES
from session_service.errors import DatabaseUnavailable
from session_service.extensions import db
from session_service.places import NoPlace, Places
from session_service.prepared import STALE, Answer, Prepared, Values, run_all
from session_service.records import LifeChange

TABLES_MISSING = {"42P01", "42703"}
"""PostgreSQL's undefined_table and undefined_column: the migrations have not run. SQLite's is an OperationalError."""

_log = logging.getLogger(__name__)


@dataclass
class _Transaction:
    connection: Connection
    changes: list[LifeChange] = field(default_factory=list)


_current: ContextVar[_Transaction] = ContextVar("transaction")


@contextmanager
def transaction(*, writes: bool = False, takes_long: bool = False) -> Iterator[None]:
    """Run one use case in one transaction: all of it is on record afterwards, or nothing.

    Args:
        writes: a reading transaction takes no lock. On SQLite it sees one state; on PostgreSQL each statement sees
            what is on record by then, as it would at that server's ordinary level (READ COMMITTED) anyway, and the
            two round trips of a BEGIN and a COMMIT are saved.
        takes_long: its statements have no time limit: counting takes as long as it takes.

    Raises:
        DatabaseUnavailable: no answer in time, or the connection broke, perhaps in the middle of the commit; or all
            connections of this process wait for answers.
    """
    places, began_at = cast(Places, current_app.extensions["database_places"]), monotonic()
    try:
        with places.one():
            changes = yield from _run(began_at, writes=writes, takes_long=takes_long)
    except NoPlace as error:
        metrics.database_refusals.labels("no_connection").inc()
        raise DatabaseUnavailable(retry_after=1) from error
    finally:
        metrics.database_transactions.observe(monotonic() - began_at)
    chronicle.tell(changes)


def _run(began_at: float, *, writes: bool, takes_long: bool) -> Generator[None, None, list[LifeChange]]:
    try:
        with metrics.connections_in_use.track_inprogress(), db.engine.connect() as connection:
            metrics.database_wait.observe(monotonic() - began_at)
            if writes or takes_long:
                connection.execution_options(**{WRITES: writes, LONG: takes_long})
                connection.begin()
            current = _Transaction(connection)
            token = _current.set(current)
            try:
                yield
                if writes:
                    connection.commit()
            finally:
                _current.reset(token)
            return current.changes
    except BaseException as error:
        if not _is_silence(error):
            raise
        metrics.database_refusals.labels("unavailable").inc()
        _log.warning("the database did not answer: %s", _in_short(error))
        raise DatabaseUnavailable(retry_after=1) from error


def execute(statement: Executable, values: Any = None) -> CursorResult[*tuple[Any, ...]]:
    """Run a statement within the transaction that is under way."""
    return connection().execute(statement, values)


def ask(statement: Prepared, values: Values) -> Answer:
    """Run a prepared statement within the transaction that is under way."""
    return statement.run(connection(), values)


def ask_all(*questions: tuple[Prepared, Values]) -> list[Answer]:
    """Run several prepared statements, in this order, none of which needs the answer to another."""
    return run_all(connection(), questions)


def connection() -> Connection:
    """Return the connection of the transaction that is under way."""
    return _current.get().connection


def tell_when_on_record(change: LifeChange) -> None:
    """Let *change* be told once the transaction is on record; of one that is undone nothing is told."""
    _current.get().changes.append(change)


def _is_silence(error: BaseException) -> bool:
    """Return whether *error* says nothing of what was asked, but only that it was not answered."""
    if isinstance(error, (ProgrammingError, NotSupportedError)):
        return getattr(error.orig, "sqlstate", None) in TABLES_MISSING | STALE
    # A plain DatabaseError is what SQLite says of a file that is damaged, or none of its own.
    kinds = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)
    return isinstance(error, kinds) or type(error) is DatabaseError


def _in_short(error: BaseException) -> str:
    """Return the driver's own words, on one line, without the statement and what was in it."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
