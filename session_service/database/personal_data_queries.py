"""The SQL for the data stored about one user, as functions to be called within a `transaction`."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Delete, Table, Update, and_, delete, func, insert, literal, or_, select, update

from session_service.database.event_statements import current_xact
from session_service.database.models import SessionEventRow, SessionOwner, SessionToken, UserSession
from session_service.database.transaction import connection, execute

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_events = cast(Table, SessionEventRow.__table__)
_owners = cast(Table, SessionOwner.__table__)

Row = dict[str, Any]


def list_owners(user_id: str) -> list[Row]:
    """Return the user's row of `session_owners`, if there is one."""
    return _rows(select(_owners).where(_owners.c.user_id == user_id))


def list_sessions_after(user_id: str, after: int, limit: int) -> list[Row]:
    """Return the user's next sessions after the id *after*, with all columns."""
    of_user = and_(_sessions.c.user_id == user_id, _sessions.c.id > after)
    return _rows(select(_sessions).where(of_user).order_by(_sessions.c.id).limit(limit))


def list_tokens(session_ids: Collection[int]) -> list[Row]:
    """Return when the tokens of these sessions expire, by session. Digests are left out: a person cannot use them."""
    columns = (_tokens.c.session_id, _tokens.c.expires_at, _tokens.c.is_opener)
    return _rows(select(*columns).where(_tokens.c.session_id.in_(session_ids)).order_by(*columns))


def session_span() -> tuple[int, int]:
    """Return the lowest and the highest id of all sessions; 1 and 0 if there are none."""
    return _span(_sessions)


def event_span() -> tuple[int, int]:
    """Return the lowest and the highest id of all events; 1 and 0 if there are none."""
    return _span(_events)


def list_events(user_id: str, first: int, last: int) -> list[Row]:
    """Return the events of the user's sessions, and those of others that *user_id* initiated, in a range of ids.

    Other users are not named.
    """
    named = or_(_events.c.user_id == user_id, _events.c.initiated_by == user_id)
    rows = _rows(select(_events).where(_events.c.id.between(first, last), named).order_by(_events.c.id))
    return [row if row["user_id"] == user_id else {**row, "user_id": None, "device_name": None} for row in rows]


def list_ended_by(user_id: str, first: int, last: int) -> list[Row]:
    """Return the sessions of other users that *user_id* ended, with ids from *first* to *last*, both inclusive."""
    columns = (_sessions.c.id.label("session_id"), _sessions.c.ended_at, _sessions.c.end_reason)
    in_range = _sessions.c.id.between(first, last)
    return _rows(select(*columns).where(in_range, _ended_by(user_id)).order_by(_sessions.c.id))


def count_held(user_id: str) -> tuple[int, int]:
    """Return how many sessions the user has, ended or not, and how many tokens these have."""
    sessions = select(func.count()).select_from(_sessions).where(_sessions.c.user_id == user_id)
    ids = select(_sessions.c.id).where(_sessions.c.user_id == user_id)
    tokens = select(func.count()).select_from(_tokens).where(_tokens.c.session_id.in_(ids))
    return execute(sessions).scalar_one(), execute(tokens).scalar_one()


def delete_user(user_id: str) -> tuple[int, int]:
    """Delete the user's sessions, their tokens and the user's own row; return how many sessions and tokens.

    The caller holds the user's lock.
    """
    _, tokens = count_held(user_id)
    # Sessions first, tokens by the cascade, as in a purge: in the other order the two could deadlock.
    sessions = _changed(delete(_sessions).where(_sessions.c.user_id == user_id))
    _changed(delete(_owners).where(_owners.c.user_id == user_id))
    return sessions, tokens


def add_last_ends(user_id: str, now: datetime) -> None:
    """Write the ends of the user's unended sessions, which are about to be deleted, as events that name nobody."""
    names = ["xact", "what", "session_id", "at", "recorded_at", "reason"]
    at = literal(now, _events.c.at.type)
    ends = select(current_xact(connection()), literal("ended"), _sessions.c.id, at, at, literal("admin"))
    execute(
        insert(_events).from_select(names, ends.where(_sessions.c.user_id == user_id, _sessions.c.ended_at.is_(None)))
    )


def erase_events(user_id: str, first: int, last: int, keep_after: datetime) -> int:
    """Erase the user from the events in a range of ids; return how many named the user.

    Events of the user's sessions are deleted, except ends recorded after *keep_after*: those stay without the user, for
    readers who have not read them yet. Events of other users' sessions stay without the user's id.
    """
    in_range = _events.c.id.between(first, last)
    theirs = and_(in_range, _events.c.user_id == user_id)
    nobody: dict[str, Any] = dict.fromkeys(("user_id", "initiated_by", "device_name", "because"))
    recent_ends = and_(theirs, _events.c.what == "ended", _events.c.recorded_at > keep_after)
    kept = _changed(update(_events).where(recent_ends).values(nobody))
    deleted = _changed(delete(_events).where(theirs))
    initiated = update(_events).where(in_range, _events.c.initiated_by == user_id).values(initiated_by=None)
    return kept + deleted + _changed(initiated)


def erase_who_ended(session_ids: Collection[int], user_id: str) -> int:
    """Set `ended_by` to null in those sessions of other users that *user_id* ended; return how many."""
    named = and_(_sessions.c.id.in_(session_ids), _ended_by(user_id))
    return _changed(update(_sessions).where(named).values(ended_by=None))


def _ended_by(user_id: str) -> ColumnElement[bool]:
    return and_(_sessions.c.ended_by == user_id, _sessions.c.user_id != user_id)


def _span(table: Table) -> tuple[int, int]:
    first, last = execute(select(func.min(table.c.id), func.max(table.c.id))).one()
    return (1, 0) if first is None else (first, last)


def _rows(statement: Any) -> list[Row]:
    return [dict(row) for row in execute(statement).mappings()]


def _changed(statement: Delete | Update) -> int:
    return execute(statement).rowcount
