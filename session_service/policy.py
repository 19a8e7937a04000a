"""RULES: when a session is active, when it ended, who gives way. Plain values and ``now``, nothing else.

No Flask, no database, no clock: whatever is decided about a session is decided here, once, for both
databases. `store` repeats only `is_active`, as the WHERE clause that guards every write.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from session_service.addresses import is_same_place
from session_service.records import EndReason, LimitPolicy, Newcomer, OpenSession, Principal, StoredSession

THROWN_OUT: frozenset[EndReason] = frozenset({"revoked", "admin", "limit"})
"""Somebody else ended it: the token that was used there may not open a new session by itself."""

Times = StoredSession | OpenSession
"""Whatever has `last_activity` and `expires_at`."""

SIGN_IN_WINDOW = timedelta(seconds=60)

LONGEST_WAIT = timedelta(seconds=5)
"""More than a request waits for its connection and its lock together."""


def idle_expires_at(session: Times, idle: timedelta | None) -> datetime | None:
    """Return when *session* ends for want of activity; None where the idle timeout is off."""
    return None if idle is None else session.last_activity + idle


def ran_out(session: Times, now: datetime, idle: timedelta | None) -> tuple[datetime, EndReason] | None:
    """Return when and why a time limit ended *session*, or None if none has; the earlier of the two counts.

    A limit ends it at the instant that it passes. Both boundaries are exclusive, as for a token's ``exp``
    (RFC 7519 section 4.1.4).
    """
    limits: list[tuple[datetime, EndReason]] = [(session.expires_at, "expired")]
    idle_at = idle_expires_at(session, idle)
    if idle_at is not None:
        limits.append((idle_at, "idle"))
    return min((limit for limit in limits if limit[0] <= now), default=None)


def end_of(session: StoredSession, now: datetime, idle: timedelta | None) -> tuple[datetime, EndReason] | None:
    """Return when and why *session* ended, or None while it is active.

    What ran out has ended, whether or not that is on record; what is on record stays, whatever has passed since.
    """
    if session.ended_at is not None and session.end_reason is not None:
        return session.ended_at, session.end_reason
    return ran_out(session, now, idle)


def is_active(session: StoredSession, now: datetime, idle: timedelta | None) -> bool:
    """Return whether *session* may still be used at *now*."""
    return end_of(session, now, idle) is None


def activity_due(session: StoredSession, now: datetime, interval: timedelta) -> bool:
    """Return whether the activity of *session* is old enough to be written again; never backwards."""
    return session.last_activity < now and session.last_activity + interval <= now


def is_same_device(session: StoredSession, newcomer: Newcomer) -> bool:
    """Return whether *newcomer* is the device that *session* was opened on, signing in again.

    Every browser of one make sends the same fingerprint, so the device and the place must agree too.
    Without a fingerprint only a user agent that names a browser or an app is told apart: two scripts on
    one machine use the same HTTP library and are not one device.
    """
    if newcomer.device_fingerprint is None and not newcomer.is_recognised:
        return False
    same_place = newcomer.network is not None and is_same_place(session.network, newcomer.network)
    return same_place and _looks_alike(session, newcomer)


def whom_to_evict(
    active: Sequence[StoredSession], newcomer: Newcomer, limit: int, policy: LimitPolicy
) -> list[StoredSession]:
    """Return the sessions of *active* that must end so that *newcomer* fits into *limit*, the first to go first.

    Sessions that look like the newcomer's device go before others, so that signing in again from another
    place does not push the user's other devices out; then by *policy*: the lowest id, or the least recently
    active. With `reject` nobody goes in the end; that somebody would have to is what refuses the sign-in.
    """

    def order(session: StoredSession) -> tuple[bool, float, int]:
        idle_first = session.last_activity.timestamp() if policy == "evict_idle" else 0.0
        return (not _looks_alike(session, newcomer), idle_first, session.id)

    surplus = max(len(active) + 1 - limit, 0)
    return sorted(active, key=order)[:surplus]


def _looks_alike(session: StoredSession, newcomer: Newcomer) -> bool:
    same_fingerprint = session.device_fingerprint == newcomer.device_fingerprint
    return same_fingerprint and session.device_key == newcomer.device_key


def begins_at(now: datetime, newest: datetime | None) -> datetime:
    """Return when a session begins that is opened at *now*, after the user's *newest* one was created.

    Whoever waited for the lock has an older clock than those who had it, and ids give the order of creation.
    A clock that is further ahead than anybody waits is wrong, and nobody follows it.
    """
    return newest if newest and now < newest <= now + LONGEST_WAIT else now


def sign_in_wait(recent: Sequence[datetime], limit: int, now: datetime) -> int:
    """Return how many whole seconds a sign-in must wait, 0 for not at all.

    Args:
        recent: when the user's newest sessions were created, newest first, at least *limit* of them if there are.
        limit: most sign-ins within the 60 seconds before *now*; 0 for no limit.
    """
    within = [created_at for created_at in recent if now - SIGN_IN_WINDOW < created_at <= now]
    if limit == 0 or len(within) < limit:
        return 0
    leaves_at = within[limit - 1] + SIGN_IN_WINDOW
    return max(1, -((now - leaves_at) // timedelta(seconds=1)))


def reason_of(by: Principal, owner_id: str, *, is_current: bool) -> EndReason:
    """Return why a session of *owner_id* ends that *by* asked to end, from itself or from another session."""
    if by.user_id != owner_id:
        return "admin"
    return "logout" if is_current else "revoked"


def may_sign_in_again(sessions: Sequence[StoredSession], now: datetime, idle: timedelta | None) -> bool:
    """Return whether a token that stands for these *sessions* may open a new one.

    Whoever was thrown out needs a new token; an active session, or one that ended in another way, shows that this
    token was not meant. An ended session says nothing where the token opened a newer one on the same device: or one
    logout would make a token immune.
    """
    newest = {one.device_key: one.id for one in sorted(sessions, key=lambda one: one.id)}.values()
    ends = [end for one in sessions if (end := end_of(one, now, idle)) is None or one.id in newest]
    return not ends or any(end is None or end[1] not in THROWN_OUT for end in ends)
