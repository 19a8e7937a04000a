"""The SQL of the purge, as functions to be called within a `transaction`. Each changes a bounded number of rows.

Rows that another transaction has locked are left for the next run (`SKIP LOCKED`; SQLite has one writer at a time).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, Table, column, delete, func, select, tuple_, update, values
from sqlalchemy.sql.dml import ReturningDelete

from session_service.database.models import CommandEnds, PurgeTotals, SessionOwner, SessionToken, UserSession
from session_service.database.publishing import publish_ended
from session_service.database.transaction import execute
from session_service.records import EndReason, PurgeRuns, StoredSession, UnendedSession

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_totals = cast(Table, PurgeTotals.__table__)
_owners = cast(Table, SessionOwner.__table__)
_command_ends = cast(Table, CommandEnds.__table__)
_has_session = select(_sessions.c.id).where(_sessions.c.user_id == _owners.c.user_id).exists()
_unended_columns = [_sessions.c[name] for name in UnendedSession._fields]


def list_unended_after(after: UnendedSession | None, limit: int) -> list[UnendedSession]:
    """Return the next sessions without a recorded end, in the order of their partial index; lock none."""
    key = tuple_(_sessions.c.user_id, _sessions.c.id)
    page = select(*_unended_columns).where(_sessions.c.ended_at.is_(None)).order_by(*key.clauses).limit(limit)
    if after is not None:
        page = page.where(key > tuple_(after.user_id, after.id))
    return [UnendedSession._make(row) for row in execute(page)]


def lock_unended(ids: Collection[int]) -> list[UnendedSession]:
    """Lock those sessions that have no recorded end and no other transaction's lock; return their current state."""
    unended = select(*_unended_columns).where(_sessions.c.id.in_(ids), _sessions.c.ended_at.is_(None))
    return [UnendedSession._make(row) for row in execute(unended.with_for_update(skip_locked=True))]


def mark_timed_out(ends: Mapping[UnendedSession, tuple[datetime, EndReason]], now: datetime) -> None:
    """Record these ends at *now*, of sessions that the caller has locked.

    One statement for all: PostgreSQL may scan the whole table for it, but then only once, not once for each row.
    """
    names = ("id", "ended_at", "end_reason")
    rows = [(one.id, at, reason) for one, (at, reason) in ends.items()]
    timed_out = values(*[column(name, _sessions.c[name].type) for name in names]).data(rows).cte("timed_out")
    record = (
        update(_sessions)
        .where(_sessions.c.id == timed_out.c.id, _sessions.c.ended_at.is_(None))
        .values(ended_at=timed_out.c.ended_at, end_reason=timed_out.c.end_reason)
        .returning(*[_sessions.c[name] for name in StoredSession._fields])
    )
    for row in execute(record):
        publish_ended(StoredSession._make(row), now)


def delete_ended(before: datetime, limit: int) -> int:
    """Delete at most *limit* sessions that ended at or before *before*, earliest first, with their tokens."""
    oldest = (
        select(_sessions.c.id)
        .where(_sessions.c.ended_at <= before)
        .order_by(_sessions.c.ended_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _count_deleted(delete(_sessions).where(_sessions.c.id.in_(_once(oldest))).returning(_sessions.c.id))


def delete_tokens(expired_at: datetime, limit: int) -> int:
    """Delete at most *limit* tokens whose `exp` is at or before *expired_at*, earliest first."""
    key = (_tokens.c.token_key, _tokens.c.session_id)
    oldest = (
        select(*key)
        .where(_tokens.c.expires_at <= expired_at)
        .order_by(_tokens.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _count_deleted(delete(_tokens).where(tuple_(*key).in_(_once(oldest))).returning(_tokens.c.session_id))


def _once(rows: Select[Any]) -> Select[Any]:
    """Return a query for *rows* that runs only once.

    PostgreSQL may run a plain subquery repeatedly; with a LIMIT and SKIP LOCKED it could return other rows each time,
    so more than *limit* rows would be deleted. A CTE that locks rows is never inlined.
    """
    return select(rows.cte("oldest"))


def list_owners_after(after: str, limit: int) -> list[tuple[str, bool]]:
    """Return the next user ids after *after* ("" for the first), each with whether it has sessions; lock none."""
    page = select(_owners.c.user_id, _has_session).where(_owners.c.user_id > after)
    return [(user_id, has) for user_id, has in execute(page.order_by(_owners.c.user_id).limit(limit))]


def delete_owners(user_ids: Collection[str]) -> int:
    """Delete the rows of those users who have no session and whose row no other transaction has locked.

    One statement locks, and the next one checks for sessions: a single statement would check the state from before it
    had the locks.
    """
    free = select(_owners.c.user_id).where(_owners.c.user_id.in_(user_ids)).with_for_update(skip_locked=True)
    locked = execute(free).scalars().all()
    unused = delete(_owners).where(_owners.c.user_id.in_(locked), ~_has_session)
    return _count_deleted(unused.returning(_owners.c.user_id))


def count_ended(before: datetime) -> int:
    """Return how many sessions repeated calls of `delete_ended` would delete."""
    return _count(_sessions, _sessions.c.ended_at <= before)


def count_expired_tokens(at: datetime) -> int:
    """Return how many tokens repeated calls of `delete_tokens` would delete."""
    return _count(_tokens, _tokens.c.expires_at <= at)


def add_run(ends: int, sessions: int, tokens: int, at: datetime) -> None:
    """Add one complete run to the totals."""
    done = {"runs": 1, "ends": ends, "sessions": sessions, "tokens": tokens}
    totals = {name: _totals.c[name] + number for name, number in done.items()}
    execute(update(_totals).values(**totals, last_run_at=at))


def runs() -> PurgeRuns:
    """Return the totals of all complete runs."""
    return PurgeRuns._make(execute(select(*[_totals.c[name] for name in PurgeRuns._fields])).one())


def command_ends() -> dict[EndReason, int]:
    """Return how many sessions commands have ended, by reason; reasons without any are omitted."""
    return {row.reason: row.sessions for row in execute(select(_command_ends.c.reason, _command_ends.c.sessions))}


def _count(table: Table, condition: Any) -> int:
    return int(execute(select(func.count()).select_from(table).where(condition)).scalar_one())


def _count_deleted(statement: ReturningDelete[Any]) -> int:
    # SQLite's driver reports no row count for a statement that begins with WITH.
    return len(execute(statement).all())
