"""The view of a session that callers see. It contains nothing that could identify a token or a browser."""

from datetime import datetime

from session_service.config import Settings
from session_service.records import Principal, SessionEvent, StoredSession
from session_service.rules import policy
from session_service.services.answers import EventData, EventView, SessionView


def present(
    session: StoredSession, settings: Settings, *, by: Principal, now: datetime, current_id: int | None = None
) -> SessionView:
    """Return *session* as *by* may see it at *now*; only admins and services see `ended_by` and `because`.

    A session past a time limit is shown as ended, with the instant and the reason, recorded or not.
    """
    end = policy.end_of(session, now, settings.idle)
    view = SessionView(
        id=session.id,
        user_id=shown_user_id(session.user_id, settings),
        device_name=session.device_name,
        device_type=session.device_type,
        browser=session.browser,
        os=session.os,
        ip_address=session.ip_address,
        ip_source=session.ip_source,
        created_at=session.created_at,
        last_activity=session.last_activity,
        expires_at=session.expires_at,
        idle_expires_at=policy.idle_expires_at(session, settings.idle),
        is_active=end is None,
        is_current=session.id == current_id,
        ended_at=end and end[0],
        end_reason=end and end[1],
    )
    if by.is_admin or by.service:
        view["ended_by"] = session.ended_by
        view["because"] = session.because
    return view


def present_event(event: SessionEvent, settings: Settings) -> EventView:
    """Return *event* as services see it."""
    data = EventData(
        session_id=event.session_id,
        user_id=None if event.user_id is None else shown_user_id(event.user_id, settings),
        reason=event.reason,
        actor=policy.actor_of(event),
        successor_id=event.successor_id,
        because=event.because,
        device_name=event.device_name,
    )
    if event.what == "created":
        data["new_device"] = event.is_new_device
    return EventView(id=event.id, type=f"session.{event.what}", timestamp=event.at, data=data)


def shown_user_id(user_id: str, settings: Settings) -> int | str:
    """Return a user's id as callers see it: a number, unless `USER_ID_TYPE` is `string`."""
    return int(user_id) if settings.USER_ID_TYPE == "integer" else user_id
