"""Queries on events that an endpoint did not take, as functions that run within a `transaction`.

A parked event is a reference: when the event is purged or erased, it goes too.
"""

from typing import cast

from sqlalchemy import ColumnElement, Table, and_, func, insert, select, update
from sqlalchemy import delete as sql_delete

from session_service.database.event_statements import EVENT_COLUMNS
from session_service.database.models import ParkedDelivery, SessionEventRow, WebhookEndpoint
from session_service.database.transaction import execute
from session_service.database.webhook_queries import FailedAttempt, move
from session_service.records import SessionEvent

_endpoints = cast(Table, WebhookEndpoint.__table__)
_parked = cast(Table, ParkedDelivery.__table__)
_events = cast(Table, SessionEventRow.__table__)


def park(name: str, by: str, event: SessionEvent, last: FailedAttempt) -> bool:
    """Put an event aside after its last attempt, and move the position past it; return whether the lease was held.

    An event that was deleted meanwhile cannot be put aside.
    """
    totals = {"parked_total": _endpoints.c.parked_total + 1, "failed_total": _endpoints.c.failed_total + 1}
    position = (event.xact, event.id)
    is_held = move(name, by, position, **totals, last_error=last.error, last_error_at=last.at)
    if is_held:
        # Locked, because a purge must not delete it before the row that refers to it is there.
        found = select(_events.c.id).where(_events.c.id == event.id).with_for_update(read=True, key_share=True)
        if execute(found).first() is not None:
            row = {"event_id": event.id, "endpoint": name, "parked_at": last.at, "attempts": last.number}
            execute(sql_delete(_parked).where(_is_parked(name, event.id)))
            execute(insert(_parked).values(row | {"last_error": last.error, "is_due": False}))
    return is_held


def list_due(name: str, limit: int) -> list[SessionEvent]:
    """Return parked events that an operator wants sent again, in order."""
    due = (
        select(*EVENT_COLUMNS)
        .join(_parked, _parked.c.event_id == _events.c.id)
        .where(_parked.c.endpoint == name, _parked.c.is_due)
        .order_by(_events.c.xact, _events.c.id)
        .limit(limit)
    )
    return [SessionEvent._make(row) for row in execute(due)]


def has_due(name: str) -> bool:
    """Return whether an operator wants a parked event sent again."""
    return bool(
        execute(select(_parked.c.event_id).where(_parked.c.endpoint == name, _parked.c.is_due).limit(1)).first()
    )


def mark_due(name: str) -> int:
    """Ask for another attempt at all parked events of an endpoint; return how many."""
    return execute(update(_parked).where(_parked.c.endpoint == name).values(is_due=True)).rowcount


def mark_due_delivered(name: str, event_id: int) -> None:
    """Forget a parked event that has been delivered, and count it."""
    execute(sql_delete(_parked).where(_is_parked(name, event_id)))
    more = {"delivered_total": _endpoints.c.delivered_total + 1}
    execute(update(_endpoints).where(_endpoints.c.name == name).values(more))


def mark_due_failed(name: str, event_id: int, error: str) -> None:
    """Leave an event parked after another failed attempt."""
    values = {"attempts": _parked.c.attempts + 1, "last_error": error, "is_due": False}
    execute(update(_parked).where(_is_parked(name, event_id)).values(values))
    more = {"failed_total": _endpoints.c.failed_total + 1}
    execute(update(_endpoints).where(_endpoints.c.name == name).values(more))


def forget_parked(name: str, event_id: int) -> None:
    """Forget a parked event that must not be sent any more."""
    execute(sql_delete(_parked).where(_is_parked(name, event_id)))


def count_parked() -> dict[str, int]:
    """Return the number of parked events by endpoint; endpoints without any are omitted."""
    counted = select(_parked.c.endpoint, func.count().label("events")).group_by(_parked.c.endpoint)
    return {row.endpoint: row.events for row in execute(counted)}


def _is_parked(name: str, event_id: int) -> ColumnElement[bool]:
    return and_(_parked.c.endpoint == name, _parked.c.event_id == event_id)
