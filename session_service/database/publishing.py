"""Publishes that the current transaction ends a session: as an event, a log line and a count."""

from datetime import datetime

from session_service.database.transaction import add_ended_event
from session_service.records import StoredSession


def publish_ended(session: StoredSession, recorded_at: datetime) -> None:
    """Write the event of a session as the current transaction ends it, and publish it after the commit.

    If another transaction has ended it, there is no second event.
    """
    add_ended_event(
        {
            "session_id": session.id,
            "user_id": session.user_id,
            "device_name": session.device_name,
            "at": session.ended_at,
            "recorded_at": recorded_at,
            "reason": session.end_reason,
            "initiated_by": session.ended_by,
            "successor_id": session.successor_id,
            "because": session.because,
        }
    )
