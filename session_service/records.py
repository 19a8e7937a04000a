"""Plain values that all parts of the package share: who is calling, from what, and what a session is. No behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

EndReason = Literal["logout", "revoked", "admin", "limit", "replaced", "idle", "expired"]
CreationReason = Literal["sign_in", "adopted"]
Because = Literal["password_changed", "account_disabled", "device_lost", "security"]
"""What an admin or a service may give as the cause of an end; the person reads it instead of "an administrator"."""

IpSource = Literal["observed", "reported"]
LimitPolicy = Literal["evict_oldest", "evict_idle", "reject"]
UnknownSessionPolicy = Literal["reject", "allow", "adopt"]
UserIdType = Literal["integer", "string"]
DirectoryState = Literal["not configured", "not asked yet", "answers", "does not answer"]


@dataclass(frozen=True, slots=True)
class Token:
    """What a verified access token says of its bearer; nothing of its text is kept."""

    user_id: str
    """Canonical: `USER_ID_TYPE=integer` gives the decimal digits without leading zeros."""
    sid: str | None
    """The auth server's own session id, where it gives one (OpenID Connect Front-Channel Logout 1.0 section 3)."""
    key: bytes
    """32 bytes that stand for this token of this user: SHA-256 of its `jti`, else of its signing input."""
    exp: int
    """When it expires, in seconds since 1970, as its claim says."""
    expires_at: datetime
    """The same as an instant, or the last one that there is."""
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: a user, perhaps an admin, by a token; or a service, by its name."""

    user_id: str | None = None
    is_admin: bool = False
    service: str | None = None
    bearer: str | None = field(default=None, repr=False)
    """The raw token, only for asking the auth server in the caller's own name; never stored, never logged."""

    @property
    def name(self) -> str:
        """What `ended_by` remembers: the user's id, or `service:` and its name."""
        return self.user_id if self.user_id is not None else f"service:{self.service}"


@dataclass(frozen=True, slots=True)
class Client:
    """What can be observed of the caller's machine."""

    user_agent: str | None
    address: str | None
    """As the connection or the trusted proxies have it; None where it is not an address (a Unix socket)."""
    platform_version: str | None = None
    """The header `Sec-CH-UA-Platform-Version`; browsers say by it alone whether a Windows is 10 or 11."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDevice:
    """The device that a request comes from, as far as rules compare it."""

    device_key: str
    network: str | None
    is_recognised: bool
    """Whether the user agent names a browser or an app, not an HTTP library."""
    is_handheld: bool = False
    """A phone or a tablet: it changes networks."""
    device_fingerprint: str | None = None
    """What a sign-in gave as such; other requests have none."""


@dataclass(frozen=True, slots=True)
class End:
    """How a session ends that somebody ended: the four columns that the flip of its row writes."""

    reason: EndReason
    by: str
    """`Principal.name` of who ended it."""
    at: datetime
    """What the row gets, unless the session was in use later than that by another clock."""
    successor_id: int | None = None
    because: Because | None = None


class SessionEvent(NamedTuple):
    """A session was created or ended; published after the commit."""

    what: Literal["created", "ended"]
    session_id: int
    user_id: str
    reason: EndReason | CreationReason
    by: str | None
    """`Principal.name` of who did it; None where a time limit ended the session."""
    successor_id: int | None = None
    because: Because | None = None


class StoredSession(NamedTuple):
    """One row of `sessions`, as far as rules and answers need it."""

    id: int
    sid: str | None
    user_id: str
    device_fingerprint: str | None
    device_key: str
    device_name: str
    device_type: str
    browser: str
    os: str | None
    ip_address: str | None
    ip_source: IpSource
    network: str | None
    created_at: datetime
    last_activity: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: EndReason | None
    ended_by: str | None
    successor_id: int | None
    because: Because | None


class UnendedSession(NamedTuple):
    """What the purge needs of a session without a recorded end."""

    user_id: str
    id: int
    last_activity: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """The settings that a device is matched by, at one instant."""

    idle: timedelta | None
    blocked_since: datetime
    """A forced end after this instant blocks its device."""
    same_network_only: bool = False
    """Whether the network must be the session's, unless the device is a phone or a tablet."""


@dataclass(frozen=True, slots=True)
class SignInState:
    """What decides a sign-in, as read under the user's lock."""

    device: ObservedDevice
    token_sessions: Sequence[StoredSession]
    """The sessions that the token stands for already, newest first."""
    created_at: Sequence[datetime]
    """When the user's newest sessions were created, newest first."""
    unended: Sequence[StoredSession]
    """The user's sessions without a recorded end, timed out or not, oldest first."""


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """The settings that a sign-in is planned by."""

    max_sessions: int
    policy: LimitPolicy
    max_per_minute: int
    """0 for no limit."""
    idle: timedelta | None


class SignInRefusal(NamedTuple):
    """Why a sign-in is refused."""

    code: Literal["session_ended", "session_limit_reached", "sign_in_rate_exceeded"]
    retry_after: int | None = None
    """Whole seconds."""


@dataclass(frozen=True, slots=True)
class SignInPlan:
    """What a sign-in does: in this order, in one transaction."""

    begins_at: datetime
    """The new session's `created_at`."""
    timed_out: list[tuple[StoredSession, tuple[datetime, EndReason]]] = field(default_factory=list)
    """Sessions whose end by a time limit is to be recorded."""
    replaced: list[StoredSession] = field(default_factory=list)
    evicted: list[StoredSession] = field(default_factory=list)
    """In the order of eviction."""
    refusal: SignInRefusal | None = None


class PurgeRuns(NamedTuple):
    """What all runs of the purge have done together."""

    runs: int
    ends: int
    sessions: int
    tokens: int
    last_run_at: datetime | None
