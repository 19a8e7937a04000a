"""USE CASE: which session is this token's? The question that decides whether logout closes the right device.

In this order: the `sid` claim, where tokens have one, alone; then the token itself, which a session remembers
from when it was seen with it; then the device that it is used on. Where nothing tells, there is none.
"""

from datetime import datetime

from session_service import addresses, devices, policy, recognition, store
from session_service.clock import as_text, in_words
from session_service.config import Settings
from session_service.errors import DatabaseUnavailable, SessionEnded
from session_service.records import Client, EndReason, Sighting, StoredSession, Token
from session_service.transaction import transaction

_HANDHELDS = ("mobile", "tablet")

_WORDS: dict[EndReason, str] = {
    "logout": "This device was signed out.",
    "revoked": "This device was signed out from another one of your devices.",
    "admin": "This device was signed out by an administrator.",
    "replaced": "This device was signed in again, so this older sign-in has ended.",
    "idle": "This device was signed out because it was not used for a while.",
    "expired": "This device was signed out because its sign-in had lasted as long as is allowed.",
}


def current_session(
    token: Token, client: Client, settings: Settings, *, now: datetime, may_have_ended: bool = False
) -> StoredSession | None:
    """Return the session that *token* belongs to, and note that it is in use; None where it cannot be told.

    A valid token without any session is fine: a JWT is trusted, only an *ended* session is not.

    Raises:
        SessionEnded: it has ended, unless *may_have_ended*.
    """
    with transaction():
        session, is_recognised = _find_allowed(token, client, settings, now, may_have_ended=may_have_ended)
    if session and is_recognised and policy.is_active(session, now, settings.idle):
        with transaction(writes=True):
            store.lock_or_add_owner(token.user_id)
            session = settle(token, client, settings, now, may_have_ended=may_have_ended)
    return _note_activity(session, settings, now) if session else None


def settle(
    token: Token, client: Client, settings: Settings, now: datetime, *, may_have_ended: bool = False
) -> StoredSession | None:
    """Return the session that *token* belongs to, and remember that for good; with the owner locked.

    What was found before the lock may be untrue by now: another first call of the token, its sign-in, an end.

    Raises:
        SessionEnded: it has ended, unless *may_have_ended*.
    """
    session, is_recognised = _find_allowed(token, client, settings, now, may_have_ended=may_have_ended)
    if session and is_recognised:
        store.remember_token(token, session.id, now=now, idle=settings.idle)
    return session


def refuse_ended(session: StoredSession, settings: Settings, now: datetime) -> None:
    """Let an active session pass; to be called within a transaction.

    Raises:
        SessionEnded: saying why, in words for the person whose device it is.
    """
    end = policy.end_of(session, now, settings.idle)
    if end:
        ended_at, reason = end
        why = _limit_words(session, settings) if reason == "limit" else _WORDS[reason]
        words = f"{why} It was {session.device_name}, on {in_words(ended_at)}."
        raise SessionEnded(words, end_reason=reason, ended_at=as_text(ended_at))


def _find_allowed(
    token: Token, client: Client, settings: Settings, now: datetime, *, may_have_ended: bool
) -> tuple[StoredSession | None, bool]:
    """Return what `_find` does, if it is active or may have ended."""
    session, is_recognised = _find(token, client, settings, now)
    if session and not may_have_ended:
        refuse_ended(session, settings, now)
    return session, is_recognised


def _find(token: Token, client: Client, settings: Settings, now: datetime) -> tuple[StoredSession | None, bool]:
    """Return the session that *token* belongs to, and whether only its device says so; within a transaction."""
    sessions = store.list_by_token(token)
    if len(sessions) == 1 or token.sid is not None:
        return next(iter(sessions), None), False  # nothing to weigh, so the device need not be looked at
    seen, idle = _sighting(client, settings), settings.idle
    if sessions:
        return recognition.choose(sessions, seen, now, idle), False
    recent = store.list_recent(token.user_id, recognition.thrown_out_since(now, idle))
    only_here = settings.UNKNOWN_SESSION_POLICY == "adopt"
    return recognition.recognise(recent, seen, now, idle, only_here=only_here), True


def _note_activity(session: StoredSession, settings: Settings, now: datetime) -> StoredSession:
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


def _sighting(client: Client, settings: Settings) -> Sighting:
    device = devices.parse_user_agent(client.user_agent)
    return Sighting(
        device_key=device.key,
        network=addresses.network_of(client.address, masked=settings.MASK_ADDRESSES),
        is_recognised=device.names_software,
        is_handheld=device.type in _HANDHELDS,
    )


def _limit_words(session: StoredSession, settings: Settings) -> str:
    successor = store.get(session.successor_id) if session.successor_id else None
    newcomer = f"a newer sign-in from {successor.device_name}" if successor else "a newer sign-in"
    limit = settings.MAX_SESSIONS_PER_USER
    allowed = "1 device is allowed" if limit == 1 else f"{limit} devices are allowed"
    return f"This device was signed out because of {newcomer}: {allowed}."
