"""Queries on webhook endpoints, as functions that run within a `transaction`.

A process sends to an endpoint only while it holds the endpoint's lease, and every change of the position names the
lease. So a process that was frozen and lost its lease changes nothing when it goes on. Leases are compared by the clock
of the database on PostgreSQL, where several machines may share the endpoints; an SQLite file has one machine.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, and_, func, literal, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database.event_queries import Position, is_after
from session_service.database.models import SessionEventRow, UserSession, WebhookEndpoint
from session_service.database.transaction import connection, execute
from session_service.records import StoredSession

_endpoints = cast(Table, WebhookEndpoint.__table__)
_events = cast(Table, SessionEventRow.__table__)
_sessions = cast(Table, UserSession.__table__)


class EndpointState(NamedTuple):
    """How far an endpoint has been sent the events."""

    name: str
    xact: int
    event_id: int
    failures: int
    """Failed attempts at the next event so far."""
    next_attempt_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    leased_by: str | None
    leased_until: datetime | None
    delivered_total: int
    failed_total: int
    parked_total: int
    missed_total: int


class FailedAttempt(NamedTuple):
    """A message that an endpoint did not take."""

    number: int
    """1 for the first attempt at this event."""
    error: str
    """In words for operators, with nothing that the receiver sent but the status."""
    at: datetime


_state = [_endpoints.c[name] for name in EndpointState._fields]
_session = [_sessions.c[name] for name in StoredSession._fields]

_FRESH = {"failures": 0, "next_attempt_at": None}
_TOTALS = ("delivered_total", "failed_total", "parked_total", "missed_total")


def add_endpoint(name: str, position: Position) -> None:
    """Add an endpoint that begins after *position*, unless it is on record."""
    row = {"name": name, "xact": position[0], "event_id": position[1], "failures": 0, **dict.fromkeys(_TOTALS, 0)}
    build: Any = sqlite.insert if _is_sqlite() else postgresql.insert
    execute(build(_endpoints).values(row).on_conflict_do_nothing())


def get_endpoint(name: str) -> EndpointState | None:
    """Return one endpoint."""
    row = execute(select(*_state).where(_endpoints.c.name == name)).one_or_none()
    return None if row is None else EndpointState._make(row)


def list_endpoints() -> list[EndpointState]:
    """Return all endpoints on record, by name."""
    return [EndpointState._make(row) for row in execute(select(*_state).order_by(_endpoints.c.name))]


def delete_endpoint(name: str) -> bool:
    """Delete an endpoint with its parked deliveries; return whether there was one."""
    return execute(sql_delete(_endpoints).where(_endpoints.c.name == name)).rowcount == 1


def take_lease(name: str, by: str, seconds: float, now: datetime) -> EndpointState | None:
    """Take the lease of an endpoint for some seconds, or renew it; return the endpoint, or None if another has it."""
    is_free = or_(_endpoints.c.leased_until.is_(None), _endpoints.c.leased_until <= _clock(now))
    take = (
        update(_endpoints)
        .where(_endpoints.c.name == name, or_(is_free, _endpoints.c.leased_by == by))
        .values(leased_by=by, leased_until=_clock(now, seconds))
        .returning(*_state)
    )
    row = execute(take).one_or_none()
    return None if row is None else EndpointState._make(row)


def release_lease(name: str, by: str) -> None:
    """Give a lease back, if it is still held."""
    execute(update(_endpoints).where(_is_held(name, by)).values(leased_by=None, leased_until=None))


def mark_delivered(name: str, by: str, position: Position, seconds: float, now: datetime) -> bool:
    """Move the position past an event that was delivered, and renew the lease; return whether the lease was held."""
    values = {"delivered_total": _endpoints.c.delivered_total + 1, "last_error": None, "last_error_at": None}
    return move(name, by, position, **values, leased_until=_clock(now, seconds))


def mark_skipped(name: str, by: str, position: Position) -> bool:
    """Move the position past events that are not for this endpoint; return whether the lease was held."""
    return move(name, by, position)


def mark_missed(name: str, by: str, position: Position) -> bool:
    """Move the position past events that the purge has deleted, and count that."""
    return move(name, by, position, missed_total=_endpoints.c.missed_total + 1)


def mark_failed(name: str, by: str, attempt: FailedAttempt, next_attempt_at: datetime) -> bool:
    """Record a failed attempt at the next event; return whether the lease was held."""
    failed = update(_endpoints).values(
        failures=_endpoints.c.failures + 1,
        failed_total=_endpoints.c.failed_total + 1,
        next_attempt_at=next_attempt_at,
        last_error=attempt.error,
        last_error_at=attempt.at,
    )
    return execute(failed.where(_is_held(name, by))).rowcount == 1


def oldest_unsent_at(after: Position) -> datetime | None:
    """Return when the first event after a position was recorded; None without one."""
    first = select(_events.c.recorded_at).where(is_after(*after)).order_by(_events.c.xact, _events.c.id).limit(1)
    return cast(datetime | None, execute(first).scalar())


def position_before(since: datetime) -> Position | None:
    """Return a position just before the first event recorded at or after an instant; None without such an event."""
    first = select(_events.c.xact, _events.c.id).where(_events.c.recorded_at >= since)
    row = execute(first.order_by(_events.c.xact, _events.c.id).limit(1)).first()
    return None if row is None else (row[0], row[1] - 1)


def move_back(name: str, position: Position) -> bool:
    """Let an endpoint begin again after an earlier position; return whether that changed anything.

    Whoever is sending to it loses the lease, but nobody else gets it before its time is over.
    """
    later = or_(
        _endpoints.c.xact > position[0], and_(_endpoints.c.xact == position[0], _endpoints.c.event_id > position[1])
    )
    back = update(_endpoints).where(_endpoints.c.name == name, later)
    return execute(back.values(xact=position[0], event_id=position[1], leased_by=None, **_FRESH)).rowcount == 1


def attempt_now(name: str) -> None:
    """End an endpoint's pause after a failed attempt."""
    execute(update(_endpoints).where(_endpoints.c.name == name).values(next_attempt_at=None))


def list_sessions(ids: Sequence[int]) -> dict[int, StoredSession]:
    """Return the sessions that are still on record, by id."""
    rows = execute(select(*_session).where(_sessions.c.id.in_(ids)))
    return {row.id: StoredSession._make(row) for row in rows}


def move(name: str, by: str, position: Position, **values: Any) -> bool:
    """Move the position on, with other columns; return whether the lease was held."""
    moved = update(_endpoints).where(_is_held(name, by))
    return execute(moved.values(xact=position[0], event_id=position[1], **_FRESH, **values)).rowcount == 1


def _is_held(name: str, by: str) -> Any:
    return and_(_endpoints.c.name == name, _endpoints.c.leased_by == by)


def _is_sqlite() -> bool:
    return connection().dialect.name == "sqlite"


def _clock(now: datetime, plus_seconds: float = 0.0) -> Any:
    plus = timedelta(seconds=plus_seconds)
    if _is_sqlite():
        return literal(now + plus, _endpoints.c.leased_until.type)
    return func.clock_timestamp() + plus
