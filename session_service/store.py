"""All SQL, as functions, to be called within a `transaction`. Nothing here decides, and nothing commits.

``get_*`` gives a row or None, ``list_*`` a list in a stated order, ``mark_*`` what it changed.
Statements are prebuilt Core: building one costs as much as running it.
"""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    Row,
    String,
    Table,
    and_,
    bindparam,
    case,
    column,
    func,
    insert,
    inspect,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from session_service.extensions import db
from session_service.models import VERSION_TABLE, SessionOwner, SessionToken, UserSession
from session_service.records import End, EndReason, StoredSession, Token

MAX_ENDED_LISTED = 100
"""Most ended sessions in one list, the newest by id (contract of `include_inactive`)."""

MAX_ACTIVE_LISTED = 1_000
"""No list is without an end; the device limit itself cannot be set higher."""

_BEGINNING = datetime.fromisoformat("0001-01-01T00:00:00+00:00")

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_owners = cast(Table, SessionOwner.__table__)
_columns = [_sessions.c[name] for name in StoredSession._fields]

_of_user = _sessions.c.user_id == bindparam("of_user")
_of_id = _sessions.c.id == bindparam("of_id")
_active = and_(
    _sessions.c.ended_at.is_(None),
    _sessions.c.expires_at > bindparam("now", type_=_sessions.c.expires_at.type),
    _sessions.c.last_activity > bindparam("idle_since", type_=_sessions.c.last_activity.type),
)
"""`policy.is_active` as a WHERE clause: every read of live sessions, and every write to one, goes through it."""

_now = bindparam("now", type_=_sessions.c.ended_at.type)
_end: dict[str, Any] = {
    # Another machine's clock, or the wait for a lock: nothing ends before it was last used.
    "ended_at": case((_sessions.c.last_activity > _now, _sessions.c.last_activity), else_=_now),
    **{name: bindparam(f"new_{name}") for name in ("end_reason", "ended_by", "successor_id")},
}

_GET = select(*_columns).where(_of_id)
_LIST_ACTIVE = (
    select(*_columns)
    .where(_of_user, _active)
    .order_by(_sessions.c.last_activity.desc(), _sessions.c.id.desc())
    .limit(MAX_ACTIVE_LISTED)
)
_LIST_ENDED = select(*_columns).where(_of_user, ~_active).order_by(_sessions.c.id.desc()).limit(MAX_ENDED_LISTED)
_LIST_OPEN = (
    select(*_columns).where(_of_user, _sessions.c.ended_at.is_(None)).order_by(_sessions.c.id).limit(MAX_ACTIVE_LISTED)
)
_COUNT_ACTIVE = select(func.count()).select_from(_sessions).where(_of_user, _active)
_ANY_OF_USER = select(_sessions.c.id).where(_of_user).limit(1)
_LIST_CREATED_AT = select(_sessions.c.created_at).where(_of_user).order_by(_sessions.c.id.desc())
_LIST_BY_TOKEN = (
    select(*_columns)
    .join(_tokens, _tokens.c.session_id == _sessions.c.id)
    .where(_tokens.c.token_key == bindparam("token_key"), _of_user)
    .order_by(_sessions.c.id.desc())
    .limit(MAX_ENDED_LISTED)
)
_GET_BY_SID = (
    select(*_columns).where(_of_user, _sessions.c.sid == bindparam("sid")).order_by(_sessions.c.id.desc()).limit(1)
)
_LOCK_OWNER = select(_owners.c.user_id).where(_owners.c.user_id == bindparam("of_user")).with_for_update()
_INSERT = insert(_sessions).returning(*_columns)
_MARK_ENDED = update(_sessions).where(_of_id, _active).values(_end).returning(*_columns)
_MARK_RAN_OUT = (
    update(_sessions)
    .where(
        _of_id,
        _sessions.c.ended_at.is_(None),
        _sessions.c.last_activity == bindparam("seen", type_=_sessions.c.last_activity.type),
    )
    .values(ended_at=bindparam("new_ended_at"), end_reason=bindparam("new_end_reason"))
)
_MARK_ALL_ENDED = (
    update(_sessions)
    .where(_of_user, _active, _sessions.c.id != bindparam("except_id"))
    .values(_end)
    .returning(_sessions.c.id)
)
_TOUCH = (
    update(_sessions)
    .where(_of_id, _active, _sessions.c.last_activity <= bindparam("due", type_=_sessions.c.last_activity.type))
    .values(last_activity=bindparam("now"))
)
_SCHEMA_REVISION = select(column("version_num", String)).select_from(table(VERSION_TABLE))


def add_owner(user_id: str) -> None:
    """Make sure that there is a row to lock for *user_id*."""
    _insert_once(_owners, {"user_id": user_id})


def lock_owner(user_id: str) -> None:
    """Wait until no other transaction decides about *user_id*'s sessions, and keep others waiting until the end.

    On SQLite the writing transaction itself is the lock. Look at the sessions only after this: a
    statement that locks and counts at once counts what was there before it had the lock.
    """
    # SQLite has no such clause, and SQLAlchemy leaves it out there.
    db.session.execute(_LOCK_OWNER, {"of_user": user_id})


def get(session_id: int) -> StoredSession | None:
    """Return one session, whoever it belongs to."""
    return _one(db.session.execute(_GET, {"of_id": session_id}).first())


def list_active(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's active sessions, the last active first."""
    return _all(_LIST_ACTIVE, {"of_user": user_id, **_moment(now, idle)})


def list_open(user_id: str) -> list[StoredSession]:
    """Return the user's sessions whose end is not on record, whether or not they ran out; the oldest first."""
    return _all(_LIST_OPEN, {"of_user": user_id})


def list_ended(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's newest sessions that ended or ran out, newest first."""
    return _all(_LIST_ENDED, {"of_user": user_id, **_moment(now, idle)})


def count_active(user_id: str, now: datetime, idle: timedelta | None) -> int:
    """Return on how many devices the user is signed in."""
    return int(db.session.execute(_COUNT_ACTIVE, {"of_user": user_id, **_moment(now, idle)}).scalar_one())


def has_any(user_id: str) -> bool:
    """Return whether there is any session of this user, ended ones included."""
    return db.session.execute(_ANY_OF_USER, {"of_user": user_id}).first() is not None


def list_created_at(user_id: str, limit: int) -> list[datetime]:
    """Return when the user's newest sessions were created, newest first."""
    return list(db.session.execute(_LIST_CREATED_AT.limit(limit), {"of_user": user_id}).scalars())


def list_by_token(token: Token) -> list[StoredSession]:
    """Return the sessions that this very token was seen with, newest first; mostly one."""
    return _all(_LIST_BY_TOKEN, {"token_key": token.key, "of_user": token.user_id})


def get_by_sid(user_id: str, sid: str) -> StoredSession | None:
    """Return the user's newest session with the auth server's session id *sid*."""
    return _one(db.session.execute(_GET_BY_SID, {"of_user": user_id, "sid": sid}).first())


def insert_session(**values: object) -> StoredSession:
    """Add a session; *values* are columns of `UserSession` without its id."""
    return StoredSession._make(db.session.execute(_INSERT, values).one())


def remember_token(token: Token, session_id: int) -> None:
    """Remember that *token* was seen with this session; a repeat changes nothing."""
    _insert_once(_tokens, {"token_key": token.key, "session_id": session_id, "expires_at": token.expires_at})


def mark_ended(session_id: int, end: End, idle: timedelta | None) -> StoredSession | None:
    """End a session that is active at `end.at`; return it as it is now, or None if this call did not end it."""
    values = {"of_id": session_id, **_end_values(end), **_moment(end.at, idle)}
    return _one(db.session.execute(_MARK_ENDED, values).first())


def mark_ran_out(session: StoredSession, end: tuple[datetime, EndReason]) -> None:
    """Record that a time limit ended *session*, unless it was used since it was read."""
    values = {"of_id": session.id, "seen": session.last_activity, "new_ended_at": end[0], "new_end_reason": end[1]}
    db.session.execute(_MARK_RAN_OUT, values)


def mark_all_ended(user_id: str, end: End, idle: timedelta | None, *, except_id: int | None = None) -> int:
    """End the user's sessions that are active at `end.at`, all but *except_id*; return how many this call ended."""
    values = {"of_user": user_id, "except_id": except_id or 0, **_end_values(end), **_moment(end.at, idle)}
    return len(db.session.execute(_MARK_ALL_ENDED, values).all())


def mark_activity(session_id: int, *, now: datetime, idle: timedelta | None, interval: timedelta) -> bool:
    """Move `last_activity` to *now* if the session is active and *interval* has passed; return whether it did.

    An interval of zero writes always, but never backwards: clocks of two machines differ.
    """
    values = {"of_id": session_id, "due": now - interval, **_moment(now, idle)}
    # Reported per statement by both drivers; the type of `execute` does not know that it is an UPDATE.
    return bool(cast(Any, db.session.execute(_TOUCH, values)).rowcount)


def schema_revision() -> str | None:
    """Return the migration that the database is at; None where there are no tables of ours."""
    if not inspect(db.session.connection()).has_table(VERSION_TABLE):
        return None
    return db.session.execute(_SCHEMA_REVISION).scalar()


def _insert_once(table: Table, values: dict[str, object]) -> None:
    dialect = sqlite if db.engine.dialect.name == "sqlite" else postgresql
    db.session.execute(dialect.insert(table).on_conflict_do_nothing(), values)


def _moment(now: datetime, idle: timedelta | None) -> dict[str, datetime]:
    """Return what `_active` compares with: idle at *now* is whoever was last active at or before `idle_since`."""
    return {"now": now, "idle_since": _BEGINNING if idle is None else now - idle}


def _end_values(end: End) -> dict[str, object]:
    return {"new_end_reason": end.reason, "new_ended_by": end.by, "new_successor_id": end.successor_id}


def _one(row: Row[Any] | None) -> StoredSession | None:
    return None if row is None else StoredSession._make(row)


def _all(statement: Any, values: dict[str, object]) -> list[StoredSession]:
    return [StoredSession._make(row) for row in db.session.execute(statement, values)]
