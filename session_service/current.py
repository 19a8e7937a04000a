"""USE CASE: which session is this token's? The question that decides whether logout closes the right device.

In this order: the `sid` claim, where tokens have one; then the token itself, which a session remembers
from the sign-in that it was used for. Where neither tells, there is none.
"""

from datetime import datetime, timedelta

from session_service import devices, policy, store
from session_service.clock import as_text
from session_service.config import Settings
from session_service.errors import DatabaseUnavailable, SessionEnded
from session_service.records import Client, EndReason, StoredSession, Token
from session_service.transaction import transaction

_WORDS: dict[EndReason, str] = {
    "logout": "This device was signed out.",
    "revoked": "This device was signed out from another one of your devices.",
    "admin": "This device was signed out by an administrator.",
    "replaced": "This device was signed in again, so this older sign-in has ended.",
    "idle": "This device was signed out because it was not used for a while.",
    "expired": "This device was signed out because its sign-in had lasted as long as is allowed.",
}


def sessions_of(token: Token) -> list[StoredSession]:
    """Return the sessions that *token* stands for, newest first: by its `sid` alone, or else by the token itself."""
    if token.sid is None:
        return store.list_by_token(token)
    found = store.get_by_sid(token.user_id, token.sid)
    return [found] if found else []


def choose(
    sessions: list[StoredSession], device_key: str, now: datetime, idle: timedelta | None
) -> StoredSession | None:
    """Return the one of *sessions* that a caller on this device most likely means, or None of none.

    Two sign-ins within one second may have byte-identical tokens: those of the caller's device go before
    others, active ones before ended ones, then the newest.
    """
    return max(
        sessions,
        key=lambda session: (session.device_key == device_key, policy.is_active(session, now, idle), session.id),
        default=None,
    )


def current_session(
    token: Token, client: Client, settings: Settings, *, now: datetime, may_have_ended: bool = False
) -> StoredSession | None:
    """Return the session that *token* belongs to; None where it cannot be told.

    A valid token without any session is fine: a JWT is trusted, only an *ended* session is not.

    Raises:
        SessionEnded: it has ended, unless *may_have_ended*.
    """
    device_key = devices.parse_user_agent(client.user_agent).key
    with transaction():
        session = choose(sessions_of(token), device_key, now, settings.idle)
        if session and not may_have_ended:
            refuse_ended(session, settings, now)
    return session


def note_activity(session: StoredSession, settings: Settings, now: datetime) -> StoredSession:
    """Write that *session* was used, unless that was written lately; what has ended stays as it is.

    Activity may be written late or be lost: a caller who only reads does not wait for somebody else's lock twice.
    """
    interval = settings.activity_interval
    if not (policy.is_active(session, now, settings.idle) and policy.activity_due(session, now, interval)):
        return session
    try:
        with transaction(writes=True):
            moved = store.mark_activity(session.id, now=now, idle=settings.idle, interval=interval)
    except DatabaseUnavailable:
        return session
    return session._replace(last_activity=now) if moved else session


def refuse_ended(session: StoredSession, settings: Settings, now: datetime) -> None:
    """Let an active session pass; to be called within a transaction.

    Raises:
        SessionEnded: saying why, in words for the person whose device it is.
    """
    end = policy.end_of(session, now, settings.idle)
    if end:
        ended_at, reason = end
        words = _limit_words(session, settings) if reason == "limit" else _WORDS[reason]
        raise SessionEnded(words, end_reason=reason, ended_at=as_text(ended_at))


def _limit_words(session: StoredSession, settings: Settings) -> str:
    successor = store.get(session.successor_id) if session.successor_id else None
    newcomer = f"a newer sign-in from {successor.device_name}" if successor else "a newer sign-in"
    limit = settings.MAX_SESSIONS_PER_USER
    allowed = "1 device is allowed" if limit == 1 else f"{limit} devices are allowed"
    return f"This device was signed out because of {newcomer}: {allowed}."
