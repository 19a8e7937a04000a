"""RULES: which of a user's sessions a call belongs to, going by its token or by its device. No Flask, no database.

What a session has of the caller's device is weighed here; where the sessions come from is `current`'s part.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from session_service.addresses import is_same_place
from session_service.policy import THROWN_OUT, is_active
from session_service.records import Sighting, StoredSession

THROWN_OUT_MEMORY = timedelta(days=7)
"""How long a device that was thrown out is recognised where there is no idle timeout to go by."""


def thrown_out_since(now: datetime, idle: timedelta | None) -> datetime:
    """Return the instant after which a session must have been thrown out for its device to be refused still."""
    return now - (idle or THROWN_OUT_MEMORY)


def choose(
    sessions: Sequence[StoredSession], seen: Sighting | None, now: datetime, idle: timedelta | None
) -> StoredSession | None:
    """Return the one of *sessions* that share a token which its bearer most likely means, or None of none.

    Two sign-ins within one second may have byte-identical tokens: those of the caller's device go before others,
    active ones before ended ones, those of this place before others, then the newest. Without a sighting (a
    service asks about somebody's token) neither device nor place counts.
    """

    def likeness(session: StoredSession) -> tuple[bool, bool, bool, int]:
        is_device = seen is not None and session.device_key == seen.device_key
        return is_device, is_active(session, now, idle), _is_here(session, seen), session.id

    return max(sessions, key=likeness, default=None)


def recognise(
    sessions: Sequence[StoredSession], seen: Sighting, now: datetime, idle: timedelta | None, *, only_here: bool = False
) -> StoredSession | None:
    """Return the session on whose device a token is used that nobody has seen before, or None.

    The session of this place goes before others, an active one before one that was thrown out, then the last active.
    One that was thrown out here goes before an active one elsewhere: that one is the office, this one is home. Two
    of the same browsers behind one address cannot be told apart, and the last active of them is taken.

    Args:
        sessions: the user's, all that are active and all that ended after `thrown_out_since`.
        seen: the device; what has no name of its own (an HTTP library, nothing) may also mean the only active session.
        only_here: the address must be the session's own, unless the device is a phone or a tablet.
    """
    here = [one for one in sessions if not only_here or seen.is_handheld or _is_here(one, seen)]
    candidates = [one for one in here if is_active(one, now, idle) or _is_kept_out(one, sessions, seen, now, idle)]
    alike = [one for one in candidates if one.device_key == seen.device_key]
    if alike:
        return max(alike, key=lambda one: (_is_here(one, seen), is_active(one, now, idle), one.last_activity, one.id))
    active = [one for one in sessions if is_active(one, now, idle)]
    return active[0] if not seen.is_recognised and len(active) == 1 and active[0] in here else None


def _is_here(session: StoredSession, seen: Sighting | None) -> bool:
    return seen is not None and seen.network is not None and is_same_place(session.network, seen.network)


def _is_kept_out(
    session: StoredSession, sessions: Sequence[StoredSession], seen: Sighting, now: datetime, idle: timedelta | None
) -> bool:
    """Return whether *session* was thrown out lately, and nobody has signed in on its device since.

    A phone is the same device anywhere, any other in one place only; what it is goes by what was *seen*, for a stored
    type may be the client's own word.
    """
    ended_at = session.ended_at
    if ended_at is None or session.end_reason not in THROWN_OUT or ended_at <= thrown_out_since(now, idle):
        return False
    return not any(
        one.device_key == session.device_key
        and (seen.is_handheld or is_same_place(one.network, session.network))
        # Whoever took its place came later, even where the clocks of two machines say otherwise.
        and (one.id == session.successor_id or (one.id > session.id and one.created_at >= ended_at))
        for one in sessions
    )
