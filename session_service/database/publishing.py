"""Publishes that the current transaction creates or ends a session: as an event, a log line and a count."""

from datetime import datetime

from session_service.database.transaction import add_created_event, add_ended_event
from session_service.records import CreationReason, EndReason, StoredSession


def publish_created(session: StoredSession, reason: CreationReason, by: str) -> None:
    """Write the event of a session that the current transaction creates, and publish it after the commit."""
    event = _of_event(session, session.created_at, session.created_at, reason, by)
    add_created_event({**event, "device_key": session.device_key})


def publish_ended(session: StoredSession, recorded_at: datetime) -> None:
    """Write the event of a session as the current transaction ends it, and publish it after the commit.

    If another transaction has ended it, there is no second event.
    """
    event = _of_event(session, session.ended_at, recorded_at, session.end_reason, session.ended_by)
    add_ended_event({**event, "successor_id": session.successor_id, "because": session.because})


def _of_event(
    session: StoredSession,
    at: datetime | None,
    recorded_at: datetime,
    reason: EndReason | CreationReason | None,
    by: str | None,
) -> dict[str, object]:
    of_session = {"session_id": session.id, "user_id": session.user_id, "device_name": session.device_name}
    return {**of_session, "at": at, "recorded_at": recorded_at, "reason": reason, "initiated_by": by}
