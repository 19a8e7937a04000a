"""Which of a user's sessions a request belongs to, by its token or by its device.

`services.current_session` reads the sessions; this module only compares them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from session_service.records import MatchingRules, ObservedDevice, StoredSession
from session_service.rules.addresses import is_same_network
from session_service.rules.policy import FORCED_END_REASONS, is_active


def pick_for_token(
    sessions: Sequence[StoredSession], device: ObservedDevice | None, now: datetime, idle: timedelta | None
) -> StoredSession | None:
    """Return the one of the *sessions* of one token that the caller most likely uses; None if there are none.

    Two sign-ins within one second may have byte-identical tokens. Preferred, in this order: the caller's device, active
    sessions, the caller's network, the newest. Without a *device* (a service asks about somebody's token), device and
    network do not count.
    """

    def likeness(session: StoredSession) -> tuple[bool, bool, bool, int]:
        same_device = device is not None and session.device_key == device.device_key
        return same_device, is_active(session, now, idle), _is_at(session, device), session.id

    return max(sessions, key=likeness, default=None)


def match_device(
    sessions: Sequence[StoredSession], device: ObservedDevice, now: datetime, rules: MatchingRules
) -> StoredSession | None:
    """Return the session that a token without one belongs to, judging by the caller's device; None if none matches.

    Preferred, in this order: the caller's network, active sessions before those that ended by force, the last active.
    So a session that was ended by force on this network comes before an active one elsewhere: the device at home was
    ended, the one at the office is another one. Two equal browsers behind one address cannot be told apart.

    Args:
        sessions: all active sessions of the user, and all that ended after `rules.blocked_since`.
        device: the caller's. If it has no name of its own (an HTTP library, no user agent), the user's only active
            session matches, too.
    """
    idle = rules.idle
    reachable = [one for one in sessions if not rules.same_network_only or device.is_handheld or _is_at(one, device)]
    candidates = [
        one
        for one in reachable
        if is_active(one, now, idle) or blocks_device(one, sessions, device, rules.blocked_since)
    ]
    alike = [one for one in candidates if one.device_key == device.device_key]
    if alike:
        return max(alike, key=lambda one: (_is_at(one, device), is_active(one, now, idle), one.last_activity, one.id))
    active = [one for one in sessions if is_active(one, now, idle)]
    return active[0] if not device.is_recognised and len(active) == 1 and active[0] in reachable else None


def _is_at(session: StoredSession, device: ObservedDevice | None) -> bool:
    return device is not None and device.network is not None and is_same_network(session.network, device.network)


def blocks_device(
    session: StoredSession, sessions: Sequence[StoredSession], device: ObservedDevice, blocked_since: datetime
) -> bool:
    """Return whether *session* ended by force after *blocked_since*, and nobody has signed in on its device since.

    A phone or tablet is one device on any network, a computer only on one. Which of them it is, *device* says: the
    stored type may be the client's own claim.
    """
    ended_at = session.ended_at
    if ended_at is None or session.end_reason not in FORCED_END_REASONS or ended_at <= blocked_since:
        return False
    return not any(
        one.device_key == session.device_key
        and (device.is_handheld or is_same_network(one.network, session.network))
        # Its successor came later, even where the clocks of two machines say otherwise.
        and (one.id == session.successor_id or (one.id > session.id and one.created_at >= ended_at))
        for one in sessions
    )
