"""What use cases return for callers, as `views.schemas` describes it to them."""

from datetime import datetime
from typing import NotRequired, TypedDict

from session_service.records import Because, EndReason, IpSource


class SessionView(TypedDict):
    """A session as a caller sees it at one instant: what ran out reads as ended, whatever the row says."""

    id: int
    user_id: int | str
    device_name: str
    device_type: str
    browser: str
    os: str | None
    ip_address: str | None
    ip_source: IpSource
    created_at: datetime
    last_activity: datetime
    expires_at: datetime
    idle_expires_at: datetime | None
    is_active: bool
    is_current: bool
    ended_at: datetime | None
    end_reason: EndReason | None
    ended_by: NotRequired[str | None]
    """Only there for admins and services."""
    because: NotRequired[Because | None]
    """Only there for admins and services."""


class Liveness(TypedDict):
    """What `validate` answers: the session is alive, or there is none and the policy says that this will do."""

    active: bool
    session_id: int | None
    user_id: int | str
    expires_at: datetime | None


class Introspection(TypedDict):
    """What `introspect` answers (RFC 7662 section 2.2); of a token that is not active nothing else is told."""

    active: bool
    sub: NotRequired[str]
    exp: NotRequired[int]
    session_id: NotRequired[int | None]
    sid: NotRequired[str]


class CreatedSession(SessionView):
    """The session that a sign-in opened, with the sessions that the device limit ended for it."""

    evicted: list[SessionView]
