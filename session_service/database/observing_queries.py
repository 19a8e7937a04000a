"""Queries on what `enforce` would have ended or refused, as functions that run within a `transaction`."""

from typing import cast

from sqlalchemy import BigInteger, Boolean, String, Table, bindparam, insert, select

from session_service.database.models import ObservedEndRow, UserSession, UtcDateTime
from session_service.database.prepared import Prepared
from session_service.database.transaction import run_at_commit, run_prepared
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.rules.observing import ObservedEnd

_ends = cast(Table, ObservedEndRow.__table__)
_sessions = cast(Table, UserSession.__table__)
_columns = [_ends.c[name] for name in ObservedEnd._fields]

_GET = Prepared(select(*_columns).where(_ends.c.session_id == bindparam("of_id", type_=BigInteger)))
_LIST_OF_USER = Prepared(
    select(_ends.c.session_id, *_columns)
    .join(_sessions, _sessions.c.id == _ends.c.session_id)
    .where(_sessions.c.user_id == bindparam("of_user", type_=String))
    .order_by(_ends.c.session_id.desc())
    .limit(MAX_ACTIVE_LISTED)
)
_MARK = Prepared(
    insert(_ends).values(
        session_id=bindparam("of_id", type_=BigInteger),
        at=bindparam("new_at", type_=UtcDateTime),
        code=bindparam("new_code", type_=String),
        is_evicted=bindparam("is_new_evicted", type_=Boolean),
    )
)


def get(session_id: int) -> ObservedEnd | None:
    """Return what `enforce` would have done to a session; None if nothing."""
    row = run_prepared(_GET, {"of_id": session_id}).fetchone()
    return None if row is None else ObservedEnd._make(row)


def list_of_user(user_id: str) -> dict[int, ObservedEnd]:
    """Return what `enforce` would have done to a user's newest sessions, by their id."""
    rows = run_prepared(_LIST_OF_USER, {"of_user": user_id}).fetchall()
    return {session_id: ObservedEnd(*columns) for session_id, *columns in rows}


def mark_at_commit(session_id: int, end: ObservedEnd) -> None:
    """Remember with the commit what `enforce` would have done to a session. The caller holds the user's lock."""
    values = {"of_id": session_id, "new_at": end.at, "new_code": end.code, "is_new_evicted": end.is_evicted}
    run_at_commit(_MARK, values)
