"""Plain values that all folders share: tokens, callers, devices, sessions, and plans.

No behaviour, no Flask, no database: every module may import this one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypedDict

EndReason = Literal["logout", "revoked", "admin", "limit", "replaced", "idle", "expired"]
CreationReason = Literal["sign_in", "adopted"]
Because = Literal["password_changed", "account_disabled", "device_lost", "security"]
"""What an admin or a service may give as the cause of an end; the person reads it instead of "an administrator"."""

IpSource = Literal["observed", "reported"]
LimitPolicy = Literal["evict_oldest", "evict_idle", "reject"]
Enforcement = Literal["enforce", "observe"]
UnknownSessionPolicy = Literal["reject", "allow", "adopt"]
UserIdType = Literal["integer", "string"]
DirectoryState = Literal["not configured", "not asked yet", "answers", "does not answer"]


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a verified access token. Its text is not kept."""

    user_id: str
    """In canonical form: decimal digits without leading zeros if `USER_ID_TYPE` is `integer`."""
    sid: str | None
    """The auth server's session id, the claim `sid` (OpenID Connect Front-Channel Logout 1.0 section 3), if present."""
    key: bytes
    """32 bytes that identify this user's token: a SHA-256 of its `jti`, or of its signing input if it has no `jti`."""
    exp: int
    """The claim `exp`: seconds since 1970-01-01 UTC."""
    expires_at: datetime
    """`exp` as an instant; the last possible `datetime` if `exp` is later."""
    is_admin: bool
    max_sessions: int | None = None
    """The limit that `SESSION_LIMITS` gives its user; None if `MAX_SESSIONS_PER_USER` applies."""


SERVICE_PREFIX = "service:"
"""Begins the name of a principal that is a service."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: a user (perhaps an admin) identified by a token, or a service identified by its name."""

    user_id: str | None = None
    is_admin: bool = False
    service: str | None = None
    bearer: str | None = field(default=None, repr=False)
    """The raw token, only for calls to the auth server on the caller's behalf; never stored, never logged."""

    @property
    def name(self) -> str:
        """The value for `ended_by`: the user's id, or `service:` and the service's name."""
        return self.user_id if self.user_id is not None else f"{SERVICE_PREFIX}{self.service}"


@dataclass(frozen=True, slots=True)
class Client:
    """What the request shows of the caller's machine."""

    user_agent: str | None
    address: str | None
    """From the connection or the trusted proxies; None if there is no IP address (a Unix socket)."""
    platform_version: str | None = None
    """The header `Sec-CH-UA-Platform-Version`, the only one that distinguishes Windows 10 from Windows 11."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDevice:
    """The properties of the request's device that rules compare."""

    device_key: str
    network: str | None
    is_recognised: bool
    """Whether the user agent names a browser or an app, not an HTTP library."""
    is_handheld: bool = False
    """Whether it is a phone or a tablet: these change networks."""
    device_fingerprint: str | None = None
    """From the body of a sign-in; other requests have none."""


@dataclass(frozen=True, slots=True)
class End:
    """An end by a user, an admin, a service or the device limit: the four columns that record it."""

    reason: EndReason
    by: str
    """`Principal.name` of the caller."""
    at: datetime
    """Becomes `ended_at`, unless the stored `last_activity` is later (another machine's clock): then that one does."""
    successor_id: int | None = None
    because: Because | None = None


class SessionEvent(NamedTuple):
    """A session was created or ended: a row of `session_events`."""

    xact: int
    id: int
    """Events are ordered by `xact`, then by `id`: see `database.event_queries`."""
    what: Literal["created", "ended"]
    session_id: int
    user_id: str | None
    """None if the user was erased."""
    at: datetime
    """When the session was created or ended. A time limit may be recorded long after it has passed."""
    reason: EndReason | CreationReason
    initiated_by: str | None
    """`Principal.name` of the caller; None if a time limit ended the session, or if the caller was erased."""
    successor_id: int | None
    because: Because | None
    device_name: str | None
    is_new_device: bool | None
    """For `created`: whether no earlier session of the user, of those on record, was on this device."""


class WrittenEvent(NamedTuple):
    """What a `SessionEvent` says, as the process that wrote it knows it."""

    what: Literal["created", "ended"]
    session_id: int
    user_id: str
    reason: EndReason | CreationReason
    initiated_by: str | None
    successor_id: int | None
    because: Because | None
    is_new_device: bool | None


class StoredSession(NamedTuple):
    """The columns of a row of `sessions` that rules and answers need."""

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
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    ended_by: str | None = None
    successor_id: int | None = None
    because: Because | None = None


class DescribedDevice(TypedDict):
    """The columns of `sessions` that describe the device of a sign-in."""

    device_fingerprint: str | None
    device_key: str
    device_name: str
    device_type: str
    browser: str
    os: str | None
    ip_address: str | None
    ip_source: IpSource
    network: str | None


class UnendedSession(NamedTuple):
    """The columns of a session without a recorded end that the purge needs, and the fast path for most tokens."""

    user_id: str
    id: int
    last_activity: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """The settings by which a device is matched, at one instant."""

    idle: timedelta | None
    blocked_since: datetime
    """A forced end after this instant blocks its device."""
    same_network_only: bool = False
    """Whether a device other than a phone or a tablet must be in the session's network."""


@dataclass(frozen=True, slots=True)
class SignInState:
    """The input of `plan_sign_in`, read under the user's lock."""

    device: ObservedDevice
    token_sessions: Sequence[StoredSession]
    """The sessions that the token already belongs to, newest first."""
    created_at: Sequence[datetime]
    """When the user's newest sessions were created, newest first."""
    unended: Sequence[StoredSession]
    """The user's sessions without a recorded end, timed out or not, oldest first."""
    next_id: int = 0
    """The id of the session to be created."""
    chosen_ids: Collection[int] = ()
    """The user's own sessions that must end for this sign-in."""


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """The settings that limit a sign-in."""

    max_sessions: int
    policy: LimitPolicy
    max_per_minute: int
    """0 for no limit."""
    idle: timedelta | None


class SignInRefusal(NamedTuple):
    """Why a sign-in is refused."""

    code: Literal["session_ended", "session_limit_reached", "sign_in_rate_exceeded"]
    retry_after: int | None = None
    """Whole seconds after which the sign-in may be repeated."""


@dataclass(frozen=True, slots=True)
class SignInPlan:
    """What a sign-in does, in this order and in one transaction."""

    begins_at: datetime
    """The new session's `created_at`."""
    timed_out: list[tuple[StoredSession, tuple[datetime, EndReason]]] = field(default_factory=list)
    """Sessions that a time limit has ended, with the instant and the reason to record."""
    revoked: list[StoredSession] = field(default_factory=list)
    """Sessions that the user chose to end."""
    replaced: list[StoredSession] = field(default_factory=list)
    evicted: list[StoredSession] = field(default_factory=list)
    """In the order of eviction."""
    refusal: SignInRefusal | None = None

    @property
    def exceeds_limit(self) -> bool:
        """Whether the device limit ends sessions, or refuses the sign-in."""
        return bool(self.evicted) or (self.refusal is not None and self.refusal.code == "session_limit_reached")


class PurgeRuns(NamedTuple):
    """The totals of all complete runs of the purge."""

    runs: int
    ends: int
    sessions: int
    tokens: int
    last_run_at: datetime | None
