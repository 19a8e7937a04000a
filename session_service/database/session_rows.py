"""What the statements on sessions are given, and what their rows are: parameters and records."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from session_service.database.prepared import Answer, Prepared, Values
from session_service.records import End, StoredSession, Token, UnendedSession

_BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def of_moment(now: datetime, idle: timedelta | None) -> dict[str, datetime]:
    """Return the parameters of `statements._active`: sessions last active at or before `idle_since` are idle."""
    return {"now": now, "idle_since": _BEGINNING if idle is None else now - idle}


def of_remembered(token: Token, session_id: int, now: datetime, idle: timedelta | None) -> dict[str, object]:
    """Return the parameters of `statements.REMEMBER_TOKEN`."""
    return {"token_key": token.key, "until": token.expires_at, "of_id": session_id, **of_moment(now, idle)}


def of_end(end: End) -> dict[str, object]:
    """Return the parameters of `statements._end` for a recorded end."""
    return {
        "new_end_reason": end.reason,
        "new_ended_by": end.by,
        "new_successor_id": end.successor_id,
        "new_because": end.because,
    }


def of_ended(session_id: int, end: End, idle: timedelta | None) -> dict[str, object]:
    """Return the parameters of `statements.MARK_ENDED`."""
    return {"of_id": session_id, **of_end(end), **of_moment(end.at, idle)}


def by_token(token: Token, without_sid: Prepared, with_sid: Prepared) -> tuple[Prepared, Values]:
    """Return the statement that finds the sessions of *token*, and its parameters."""
    if token.sid is None:
        return without_sid, {"token_key": token.key, "of_user": token.user_id}
    return with_sid, {"of_user": token.user_id, "sid": token.sid}


def only_unended(answer: Answer) -> UnendedSession | None:
    """Return the session of `statements.PEEK_*` if it is the only one and its end is not recorded."""
    rows = answer.fetchall()
    if len(rows) != 1:
        return None
    *times, ended_at = rows[0]
    return None if ended_at else UnendedSession(*times)


def one(answer: Answer) -> StoredSession | None:
    """Return the first session of an answer."""
    row = answer.fetchone()
    return None if row is None else StoredSession._make(row)


def sessions_of(rows: Iterable[Any]) -> list[StoredSession]:
    """Return rows as sessions."""
    return [StoredSession._make(row) for row in rows]
