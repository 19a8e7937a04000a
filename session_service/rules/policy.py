"""When a session is active, when and why it ended, and what a sign-in does to a user's other sessions.

`database.statements` repeats `is_active` as the WHERE clause that guards every write; everything else about a session's
life is decided here, once, for both databases.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from session_service.limits import MAX_CLOCK_LAG
from session_service.records import (
    SERVICE_PREFIX,
    EndReason,
    LimitPolicy,
    ObservedDevice,
    Principal,
    SessionEvent,
    SignInLimits,
    SignInPlan,
    SignInRefusal,
    SignInState,
    StoredSession,
)
from session_service.rules.addresses import is_same_network

FORCED_END_REASONS: frozenset[EndReason] = frozenset({"revoked", "admin", "limit"})
"""Somebody else ended the session. Its token may not create a new one."""

SIGN_IN_WINDOW = timedelta(seconds=60)


class HasTimes(Protocol):
    """Anything with the two instants that time limits need."""

    @property
    def last_activity(self) -> datetime:
        """When it was last used."""

    @property
    def expires_at(self) -> datetime:
        """When its lifetime ends."""


def idle_expires_at(session: HasTimes, idle: timedelta | None) -> datetime | None:
    """Return when inactivity ends *session*; None where the idle timeout is off."""
    return None if idle is None else session.last_activity + idle


def timed_out(session: HasTimes, now: datetime, idle: timedelta | None) -> tuple[datetime, EndReason] | None:
    """Return when and why a time limit ended *session*, the earlier of the two limits; None if none has passed.

    Both boundaries are exclusive, as for a token's ``exp`` (RFC 7519 section 4.1.4).
    """
    limits: list[tuple[datetime, EndReason]] = [(session.expires_at, "expired")]
    idle_at = idle_expires_at(session, idle)
    if idle_at is not None:
        limits.append((idle_at, "idle"))
    return min((limit for limit in limits if limit[0] <= now), default=None)


def end_of(session: StoredSession, now: datetime, idle: timedelta | None) -> tuple[datetime, EndReason] | None:
    """Return when and why *session* ended; None while it is active.

    A recorded end counts before a time limit. A time limit that has passed counts even if it is not recorded yet.
    """
    if session.ended_at is not None and session.end_reason is not None:
        return session.ended_at, session.end_reason
    return timed_out(session, now, idle)


def is_active(session: StoredSession, now: datetime, idle: timedelta | None) -> bool:
    """Return whether *session* may still be used at *now*."""
    return end_of(session, now, idle) is None


def activity_due(session: HasTimes, now: datetime, interval: timedelta) -> bool:
    """Return whether `last_activity` should be written: *interval* has passed, and *now* is later."""
    return session.last_activity < now and session.last_activity + interval <= now


def plan_sign_in(state: SignInState, now: datetime, limits: SignInLimits) -> SignInPlan:
    """Return what a sign-in at *now* does, given what was read under the user's lock.

    `timed_out` must be recorded first. A session may have been used since it was read, so if there are any, the caller
    reads the active sessions again and plans again. A plan with a refusal changes nothing else.
    """
    starts_at = begins_at(now, state.created_at[0] if state.created_at else None)
    if not may_sign_in_again(state.token_sessions, now, limits.idle):
        return SignInPlan(starts_at, refusal=SignInRefusal("session_ended"))
    wait = sign_in_wait(state.created_at, limits.max_per_minute, starts_at)
    if wait:
        return SignInPlan(starts_at, refusal=SignInRefusal("sign_in_rate_exceeded", wait))
    ends = [(one, timed_out(one, now, limits.idle)) for one in state.unended]
    active = [one for one, end in ends if end is None]
    revoked = [one for one in active if one.id in state.chosen_ids]
    replaced = [one for one in active if one not in revoked and is_same_device(one, state.device)]
    others = [one for one in active if one not in revoked and one not in replaced]
    evicted = sessions_to_evict(others, state.device, limits.max_sessions, limits.policy)
    if evicted and limits.policy == "reject":
        return SignInPlan(starts_at, refusal=SignInRefusal("session_limit_reached"))
    timed_out_now = [(one, end) for one, end in ends if end]
    return SignInPlan(starts_at, timed_out=timed_out_now, revoked=revoked, replaced=replaced, evicted=evicted)


def is_same_device(session: StoredSession, device: ObservedDevice) -> bool:
    """Return whether *device* is the one that *session* was created on, signing in again.

    Many browsers send the same fingerprint, so browser, system, model and network must agree too. Without a
    fingerprint, only a user agent that names a browser or an app counts: two scripts on one machine may use the same
    HTTP library.
    """
    if device.device_fingerprint is None and not device.is_recognised:
        return False
    same_network = device.network is not None and is_same_network(session.network, device.network)
    return same_network and _looks_alike(session, device)


def sessions_to_evict(
    active: Sequence[StoredSession], device: ObservedDevice, limit: int, policy: LimitPolicy
) -> list[StoredSession]:
    """Return the sessions of *active* that exceed *limit* once *device* has signed in, in the order of eviction.

    Sessions that look like *device* come first: signing in again from another network must not end the user's other
    devices. Then *policy* decides: lowest id, or least recently active. Under `reject` the caller refuses the sign-in
    if this list is not empty.
    """

    def order(session: StoredSession) -> tuple[bool, float, int]:
        idle_first = session.last_activity.timestamp() if policy == "evict_idle" else 0.0
        return (not _looks_alike(session, device), idle_first, session.id)

    surplus = max(len(active) + 1 - limit, 0)
    return sorted(active, key=order)[:surplus]


def _looks_alike(session: StoredSession, device: ObservedDevice) -> bool:
    same_fingerprint = session.device_fingerprint == device.device_fingerprint
    return same_fingerprint and session.device_key == device.device_key


def begins_at(now: datetime, newest: datetime | None) -> datetime:
    """Return the `created_at` of a new session; *newest* is that of the user's newest one.

    A request that waited for the lock may carry an earlier `now` than the newest session, and ids must give the order
    of creation. A difference above `MAX_CLOCK_LAG` means that a clock is wrong; it is not followed.
    """
    return newest if newest and now < newest <= now + MAX_CLOCK_LAG else now


def sign_in_wait(recent: Sequence[datetime], limit: int, now: datetime) -> int:
    """Return how many whole seconds a sign-in must wait; 0 if it need not.

    Args:
        recent: `created_at` of the user's newest sessions, newest first, at least *limit* of them if there are so many.
        limit: most sign-ins within the 60 seconds before *now*; 0 for no limit.
    """
    within = [created_at for created_at in recent if now - SIGN_IN_WINDOW < created_at <= now]
    if limit == 0 or len(within) < limit:
        return 0
    leaves_at = within[limit - 1] + SIGN_IN_WINDOW
    return max(1, -((now - leaves_at) // timedelta(seconds=1)))


def reason_of(by: Principal, owner_id: str, *, is_current: bool) -> EndReason:
    """Return why a session of *owner_id* ends that *by* ends, from that session itself or from elsewhere."""
    if by.user_id != owner_id:
        return "admin"
    return "logout" if is_current else "revoked"


def actor_of(event: SessionEvent) -> str:
    """Return what kind of caller caused *event*: `user`, `admin`, `service:` and a name, `policy` or `system`."""
    match event.reason:
        case "admin":
            by = event.initiated_by or ""
            return by if by.startswith(SERVICE_PREFIX) else "admin"
        case "limit":
            return "policy"
        case "idle" | "expired":
            return "system"
    return "user"


def may_sign_in_again(sessions: Sequence[StoredSession], now: datetime, idle: timedelta | None) -> bool:
    """Return whether a token that stands for these *sessions*, newest first, may create another one.

    It may if it stands for none, if one of them is active, or if the newest ended as `replaced`: two `create` calls of
    one sign-in, for example of its backend and of its frontend. Any other end is final for the token, whoever caused
    it; a new sign-in brings a new token.
    """
    ends = [end_of(one, now, idle) for one in sessions]
    return not ends or None in ends or (ends[0] is not None and ends[0][1] == "replaced")
