"""What use cases return for callers, as `views.schemas` describes it to them."""

from datetime import datetime
from typing import NotRequired, TypedDict

from session_service.records import Because, CreationReason, EndReason, IpSource


class SessionView(TypedDict):
    """A session as a caller sees it at one instant. One that timed out is shown as ended, recorded or not."""

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
    """Present only for admins and services."""
    because: NotRequired[Because | None]
    """Present only for admins and services."""


class Liveness(TypedDict):
    """The answer of `validate`: the session is active, or there is none and `UNKNOWN_SESSION_POLICY` allows that."""

    active: bool
    session_id: int | None
    user_id: int | str
    expires_at: datetime | None
    idle_expires_at: datetime | None


class EventData(TypedDict):
    """What happened to which session."""

    session_id: int
    user_id: int | str | None
    """None if the user was erased."""
    reason: EndReason | CreationReason
    actor: str
    """`user`, `admin`, `service:` and a name, `policy` (the device limit) or `system` (a time limit)."""
    successor_id: int | None
    because: Because | None
    device_name: str | None
    new_device: NotRequired[bool | None]
    """Present only for `session.created`."""


class EventView(TypedDict):
    """An event as services see it."""

    id: int
    type: str
    """`session.created` or `session.ended`."""
    timestamp: datetime
    data: EventData


class FeedPage(TypedDict):
    """The answer of the feed."""

    events: list[EventView]
    position: str
    complete: bool
    lease_seconds: float


class Introspection(TypedDict):
    """The answer of `introspect` (RFC 7662 section 2.2). For a token that is not active, it contains only `active`."""

    active: bool
    sub: NotRequired[str]
    exp: NotRequired[int]
    session_id: NotRequired[int | None]
    sid: NotRequired[str]


class CreatedSession(SessionView):
    """The session that a sign-in created, and the sessions that the device limit ended for it."""

    evicted: list[SessionView]


class SearchAnswer(TypedDict):
    """A page of a search."""

    sessions: list[SessionView]
    next: str | None
    """A cursor; None at the end."""
