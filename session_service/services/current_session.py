"""Which session does a token belong to? The answer decides whether logout ends the right device.

In this order: the `sid` claim alone, where tokens have one; the token itself, which a session remembers; the device
that the token is used on. If none of them tells, the token has no session.
"""

from datetime import datetime
from typing import Any, assert_never

from session_service import metrics
from session_service.clock import as_text, in_words
from session_service.config import Settings
from session_service.database import session_queries
from session_service.database.connections import Connections
from session_service.database.transaction import attempt, transaction
from session_service.errors import DatabaseUnavailable, SessionEnded
from session_service.records import (
    Because,
    Client,
    EndReason,
    MatchingRules,
    ObservedDevice,
    StoredSession,
    Token,
    UnendedSession,
)
from session_service.rules import addresses, devices, policy, session_matching
from session_service.services.observing import observe_session

_HANDHELD_TYPES = ("mobile", "tablet")


def current_session(
    token: Token, client: Client, settings: Settings, *, now: datetime, may_have_ended: bool = False
) -> StoredSession | None:
    """Return the session that *token* belongs to, and record its activity; None if it has none.

    A valid token without a session is accepted: only an *ended* session is refused.

    Raises:
        SessionEnded: the session has ended, unless *may_have_ended*.
    """
    with transaction():
        session, is_new_token = _find(token, client, settings, now, may_have_ended=may_have_ended)
    if session and is_new_token and policy.is_active(session, now, settings.idle):
        with transaction(writes=True):
            session_queries.lock_or_add_owner(token.user_id)
            session = find_and_remember(token, client, settings, now, may_have_ended=may_have_ended)
    return _record_activity(session, settings, now) if session else None


class PlainLookup:
    """Finds a token's session where there is nothing to decide and nothing to write, as it mostly is for the fast path.

    It needs no application context, and reports nothing if the database does not answer.
    """

    def __init__(self, connections: Connections, settings: Settings) -> None:
        self._connections = connections
        self._idle, self._interval = settings.idle, settings.activity_interval

    def __call__(self, token: Token, now: datetime) -> UnendedSession | None:
        """Return the only session of *token*, if it is active and its activity need not be written; otherwise None.

        Raises:
            DatabaseUnavailable, BulkheadFull: see `attempt`.
        """
        if not self._interval:
            return None  # the activity of each call is written
        with attempt(self._connections):
            session = session_queries.get_only_unended(token)
        return session if session and self._is_plain(session, now) else None

    def with_list(self, token: Token, now: datetime) -> tuple[UnendedSession, list[StoredSession]] | None:
        """Return the same session, and all active ones of its user, the last active first.

        Raises:
            DatabaseUnavailable, BulkheadFull: see `attempt`.
        """
        if not self._interval:
            return None
        with attempt(self._connections), metrics.connections_in_use.track_inprogress():
            session, active = session_queries.get_only_unended_and_list(token, now, self._idle)
        return (session, active) if session and self._is_plain(session, now) else None

    def _is_plain(self, session: UnendedSession, now: datetime) -> bool:
        return not (policy.timed_out(session, now, self._idle) or policy.activity_due(session, now, self._interval))


def find_and_remember(
    token: Token, client: Client, settings: Settings, now: datetime, *, may_have_ended: bool = False
) -> StoredSession | None:
    """Return the session that *token* belongs to, and remember the token for it. The caller holds the user's lock.

    Under the lock, because a concurrent request, a sign-in with the same token, or an end may have changed the answer.

    Raises:
        SessionEnded: the session has ended, unless *may_have_ended*.
    """
    session, is_new_token = _find(token, client, settings, now, may_have_ended=may_have_ended)
    if session and is_new_token:
        session_queries.remember_token(token, session.id, now=now, idle=settings.idle)
    return session


def refuse_ended(session: StoredSession, settings: Settings, now: datetime, *, allowed: int) -> None:
    """Do nothing for an active session. To be called within a transaction. An observing service refuses none.

    Args:
        allowed: how many sessions the user may have.

    Raises:
        SessionEnded: it has ended; the error says why.
    """
    has_ended = not policy.is_active(session, now, settings.idle)
    if settings.observes:
        observe_session(session, settings, has_ended=has_ended)
    elif has_ended:
        raise ended_error(session, settings, now, allowed=allowed)


def ended_error(session: StoredSession, settings: Settings, now: datetime, *, allowed: int) -> SessionEnded:
    """Return the error for an ended session: a sentence for its user, and the same in members for programs.

    To be called within a transaction: the session that took its place is looked up.
    """
    end = policy.end_of(session, now, settings.idle)
    if end is None:
        raise ValueError(f"session {session.id} is active")
    ended_at, reason = end
    successor = session_queries.get(session.successor_id) if reason == "limit" and session.successor_id else None
    why = _cause(reason, session.because, successor, allowed)
    words = f"This device ({session.device_name}) was signed out because {why}. That was on {in_words(ended_at)}."
    members: dict[str, Any] = {
        "end_reason": reason,
        "ended_at": as_text(ended_at),
        "device_name": session.device_name,
        "successor_device_name": successor and successor.device_name,
        "because": session.because,
    }
    return SessionEnded(words, **{name: value for name, value in members.items() if value is not None})


def observe(client: Client, settings: Settings, *, fingerprint: str | None = None) -> ObservedDevice:
    """Return the device of *client* as rules compare it."""
    device = devices.parse_user_agent(client.user_agent)
    return ObservedDevice(
        device_key=device.key,
        network=addresses.network_of(client.address, masked=settings.MASK_ADDRESSES),
        is_recognised=device.names_software,
        is_handheld=device.type in _HANDHELD_TYPES,
        device_fingerprint=fingerprint,
    )


def _find(
    token: Token, client: Client, settings: Settings, now: datetime, *, may_have_ended: bool
) -> tuple[StoredSession | None, bool]:
    """Return the session that *token* belongs to, and whether only its device says so.

    Raises:
        SessionEnded: the session has ended, unless *may_have_ended*.
    """
    session, is_new_token = _find_any(token, client, settings, now)
    if session and not may_have_ended:
        refuse_ended(session, settings, now, allowed=settings.max_sessions(token))
    return session, is_new_token


def _find_any(token: Token, client: Client, settings: Settings, now: datetime) -> tuple[StoredSession | None, bool]:
    sessions = session_queries.list_by_token(token)
    if len(sessions) == 1 or token.sid is not None:
        return next(iter(sessions), None), False  # nothing to compare, so the user agent is not parsed
    device, idle = observe(client, settings), settings.idle
    if sessions:
        return session_matching.pick_for_token(sessions, device, now, idle), False
    rules = MatchingRules(idle, now - settings.revoked_device, settings.UNKNOWN_SESSION_POLICY == "adopt")
    recent = session_queries.list_recent(token.user_id, rules.blocked_since)
    return session_matching.match_device(recent, device, now, rules), True


def _record_activity(session: StoredSession, settings: Settings, now: datetime) -> StoredSession:
    """Write that *session* was used, if the interval has passed and it is active; return it as it is then.

    Activity may be written late or be lost, so a database that does not answer is no error here.
    """
    interval = settings.activity_interval
    if not (policy.is_active(session, now, settings.idle) and policy.activity_due(session, now, interval)):
        return session
    try:
        with transaction(writes=True):
            moved = session_queries.mark_activity(session.id, now=now, idle=settings.idle, interval=interval)
    except DatabaseUnavailable:
        return session
    return session._replace(last_activity=now) if moved else session


_GIVEN_CAUSES: dict[Because, str] = {
    "password_changed": "the password was changed",  # pragma: allowlist secret
    "account_disabled": "the account was disabled",
    "device_lost": "a device was reported lost",
    "security": "of a security measure",
}


def _cause(reason: EndReason, because: Because | None, successor: StoredSession | None, limit: int) -> str:
    """Return why a session ended, for the person whose device it is; it completes "was signed out because".

    mypy checks that no reason is left out.
    """
    match reason:
        case "logout":
            cause = "you signed out on it"
        case "revoked":
            cause = "you signed it out from another device"
        case "admin":
            cause = _GIVEN_CAUSES[because] if because else "an administrator signed it out"
        case "limit":
            newcomer = f"a newer sign-in from {successor.device_name}" if successor else "a newer sign-in"
            cause = f"of {newcomer}: {'1 device is' if limit == 1 else f'{limit} devices are'} allowed"
        case "replaced":
            cause = "it was signed in again"
        case "idle":
            cause = "it was not used for a while"
        case "expired":
            cause = "its sign-in had lasted as long as is allowed"
        case _:
            assert_never(reason)
    return cause
