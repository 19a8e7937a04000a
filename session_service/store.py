"""All that is asked of the database, as functions, to be called within a `transaction`; nothing here commits.

``get_*`` gives a row or None, ``list_*`` a list in a stated order, ``mark_*`` what it changed.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import inspect

from session_service import statements
from session_service.models import VERSION_TABLE
from session_service.prepared import Answer, Prepared, Values
from session_service.records import End, EndReason, LifeChange, StoredSession, Survey, Token
from session_service.transaction import ask, ask_all, connection, tell_when_on_record

_BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def lock_or_add_owner(user_id: str) -> None:
    """Do what `lock_owner` does, also for a user of whom there is no session yet: afterwards the lock is held.

    A row that was there a moment ago may be erased by the time that it could be locked; one that this transaction
    adds is its own.
    """
    while not lock_owner(user_id):
        ask(statements.ADD_OWNER, {"of_user": user_id})


def lock_owner(user_id: str) -> bool:
    """Wait until no other transaction decides about *user_id*'s sessions, and keep others waiting until the end.

    On SQLite the writing transaction itself is the lock. Look at the sessions only after this: a
    statement that locks and counts at once counts what was there before it had the lock.

    Returns whether there is anything to lock: without an owner there are no sessions.
    """
    # SQLite has no such clause, and SQLAlchemy leaves it out there.
    return ask(statements.LOCK_OWNER, {"of_user": user_id}).fetchone() is not None


def get(session_id: int) -> StoredSession | None:
    """Return one session, whoever it belongs to."""
    return _one(ask(statements.GET, {"of_id": session_id}))


def list_active(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's active sessions, the last active first."""
    return _all(statements.LIST_ACTIVE, {"of_user": user_id, **_moment(now, idle)})


def list_ended(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's newest sessions that ended or ran out, newest first."""
    return _all(statements.LIST_ENDED, {"of_user": user_id, **_moment(now, idle)})


def list_recent(user_id: str, ended_after: datetime) -> list[StoredSession]:
    """Return the user's sessions but those whose end was put on record for *ended_after* or earlier; the open first."""
    return _all(statements.LIST_RECENT, {"of_user": user_id, "ended_after": ended_after})


def count_active(user_id: str, now: datetime, idle: timedelta | None) -> int:
    """Return on how many devices the user is signed in."""
    return int(ask(statements.COUNT_ACTIVE, {"of_user": user_id, **_moment(now, idle)}).fetchone()[0])


def has_any(user_id: str) -> bool:
    """Return whether there is any session of this user, ended ones included."""
    return ask(statements.ANY_OF_USER, {"of_user": user_id}).fetchone() is not None


def list_by_token(token: Token) -> list[StoredSession]:
    """Return the sessions that *token* stands for, newest first, mostly one.

    By its `sid`, where it has one, the newest alone; else those that this very token opened, or was recognised by.
    """
    return _all(*_by_token(token))


def lock_and_survey(token: Token, most: int) -> Survey:
    """Do what `lock_or_add_owner` does, and return what a sign-in with *token* goes by, of the time after that.

    Args:
        most: how many `created_at` are wanted.
    """
    of_user = {"of_user": token.user_id}
    questions = (
        _by_token(token),
        (statements.LIST_CREATED_AT, {**of_user, "most": most}),
        (statements.LIST_OPEN, of_user),
    )
    locked, *answers = ask_all((statements.LOCK_OWNER, of_user), *questions)
    if locked.fetchone() is None:
        lock_or_add_owner(token.user_id)
        answers = ask_all(*questions)
    of_token, created_at, still_open = (answer.fetchall() for answer in answers)
    return Survey(token, _sessions(of_token), [at for (at,) in created_at], _sessions(still_open))


def insert_session(**values: object) -> StoredSession:
    """Add a session; *values* are columns of `UserSession` without its id, null where they are left out."""
    every = {**dict.fromkeys(statements.INSERTED), **values}
    return StoredSession._make(ask(statements.INSERT, every).fetchone())


def remember_token(
    token: Token, session_id: int, *, now: datetime, idle: timedelta | None, is_opener: bool = False
) -> None:
    """Remember that *token* opened this session, or was seen with it, if it is active; a repeat changes nothing."""
    values = {"token_key": token.key, "until": token.expires_at, "opens": is_opener}
    ask(statements.REMEMBER_TOKEN, {**values, "of_id": session_id, **_moment(now, idle)})


def mark_ended(session_id: int, end: End, idle: timedelta | None) -> StoredSession | None:
    """End a session that is active at `end.at`; return it as it is now, or None if this call did not end it."""
    values = {"of_id": session_id, **_end_values(end), **_moment(end.at, idle)}
    ended = _one(ask(statements.MARK_ENDED, values))
    if ended:
        tell_when_on_record(LifeChange("ended", ended.id, ended.user_id, end.reason, end.by, end.successor_id))
    return ended


def mark_ran_out(session: StoredSession, end: tuple[datetime, EndReason]) -> None:
    """Record that a time limit ended *session*, unless it was used since it was read."""
    values = {"of_id": session.id, "seen": session.last_activity, "new_ended_at": end[0], "new_end_reason": end[1]}
    if ask(statements.MARK_RAN_OUT, values).rowcount:
        tell_when_on_record(LifeChange("ended", session.id, session.user_id, end[1], None))


def mark_all_ended(user_id: str, end: End, idle: timedelta | None, *, except_id: int | None = None) -> int:
    """End the user's sessions that are active at `end.at`, all but *except_id*; return how many this call ended."""
    values = {"of_user": user_id, "except_id": except_id or 0, **_end_values(end), **_moment(end.at, idle)}
    ended = ask(statements.MARK_ALL_ENDED, values).fetchall()
    for (session_id,) in ended:
        tell_when_on_record(LifeChange("ended", session_id, user_id, end.reason, end.by))
    return len(ended)


def mark_activity(session_id: int, *, now: datetime, idle: timedelta | None, interval: timedelta) -> bool:
    """Move `last_activity` to *now* if the session is active and *interval* has passed; return whether it did.

    An interval of zero writes always, but never backwards: clocks of two machines differ.
    """
    values = {"of_id": session_id, "due": now - interval, **_moment(now, idle)}
    return bool(ask(statements.TOUCH, values).rowcount)


def schema_revision() -> str | None:
    """Return the migration that the database is at; None where there are no tables of ours."""
    if not inspect(connection()).has_table(VERSION_TABLE):
        return None
    row = ask(statements.SCHEMA_REVISION, {}).fetchone()
    return str(row[0]) if row else None


def _moment(now: datetime, idle: timedelta | None) -> dict[str, datetime]:
    """Return what `_active` compares with: idle at *now* is whoever was last active at or before `idle_since`."""
    return {"now": now, "idle_since": _BEGINNING if idle is None else now - idle}


def _end_values(end: End) -> dict[str, object]:
    return {"new_end_reason": end.reason, "new_ended_by": end.by, "new_successor_id": end.successor_id}


def _one(answer: Answer) -> StoredSession | None:
    row = answer.fetchone()
    return None if row is None else StoredSession._make(row)


def _all(statement: Prepared, values: Values) -> list[StoredSession]:
    return _sessions(ask(statement, values).fetchall())


def _sessions(rows: Iterable[Any]) -> list[StoredSession]:
    return [StoredSession._make(row) for row in rows]


def _by_token(token: Token) -> tuple[Prepared, Values]:
    if token.sid is None:
        return statements.LIST_BY_TOKEN, {"token_key": token.key, "of_user": token.user_id}
    return statements.GET_BY_SID, {"of_user": token.user_id, "sid": token.sid}
