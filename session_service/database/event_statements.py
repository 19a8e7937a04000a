"""The statements that write events, of a new session together with it; `event_queries` says how events are read."""

from typing import Any, Literal, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database.models import SessionEventRow, SessionToken, UserSession
from session_service.database.prepared import Prepared, Values
from session_service.records import SessionEvent, StoredSession, WrittenEvent

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_events = cast(Table, SessionEventRow.__table__)
EVENT_COLUMNS = [_events.c[name] for name in SessionEvent._fields]

_XACT = sql_cast(sql_cast(func.pg_current_xact_id(), Text), BigInteger)
_NO_XACT = literal(0, Integer)

_session = {name: bindparam(name, type_=_sessions.c[name].type) for name in StoredSession._fields}
_session["id"] = bindparam("session_id", type_=_sessions.c.id.type)  # an event has an `id`, too
_opener = {
    "token_key": bindparam("token_key", type_=_tokens.c.token_key.type),
    "session_id": _session["id"],
    "expires_at": bindparam("until", type_=_tokens.c.expires_at.type),
    "is_opener": true(),
}
_earlier = select(_sessions.c.id).where(
    _sessions.c.user_id == _session["user_id"],
    _sessions.c.device_key == _session["device_key"],
    _sessions.c.id < _session["id"],
)


def current_xact(connection: Connection) -> ColumnElement[int]:
    """Return the value of `session_events.xact` for rows that *connection* writes."""
    return _NO_XACT if connection.dialect.name == "sqlite" else _XACT


def _of_event(*names: str) -> dict[str, Any]:
    return {name: bindparam(name, type_=_events.c[name].type) for name in names}


def _add(insert_into: Any, xact: Any, what: str, values: dict[str, Any]) -> Any:
    """Return the INSERT of one event. Its answer is the session's id, and whether the session's device is new."""
    event = insert_into(_events).values({"xact": xact, "what": literal_column(f"'{what}'"), **values})
    return event.returning(_events.c.session_id, _events.c.is_new_device)


_created = {
    "session_id": _session["id"],
    "user_id": _session["user_id"],
    "at": _session["created_at"],
    "recorded_at": _session["created_at"],
    "device_name": _session["device_name"],
    "is_new_device": ~_earlier.exists(),
    **_of_event("reason", "initiated_by"),
}
_ended = _of_event(
    *("session_id", "user_id", "at", "recorded_at", "device_name"),
    *("reason", "initiated_by", "successor_id", "because"),
)
_new_session, _new_token = insert(_sessions).values(_session), insert(_tokens).values(_opener)

CREATE = Prepared(
    _add(postgresql.insert, _XACT, "created", _created).add_cte(_new_session.cte("session"), _new_token.cte("token")),
    on_sqlite=_add(sqlite.insert, _NO_XACT, "created", _created),
    before_on_sqlite=[Prepared(_new_session), Prepared(_new_token)],
)
"""A new session, the token that opened it, and its event. The values are the columns of the session, its id as
`session_id`, and `token_key`, `until`, `reason` and `initiated_by`."""

# Values alone, no array and no join: PostgreSQL would plan those each time, which costs more than to run them.
# If another transaction has ended the session, there is an event.
ADD_ENDED = Prepared(
    _add(postgresql.insert, _XACT, "ended", _ended).on_conflict_do_nothing(),
    on_sqlite=_add(sqlite.insert, _NO_XACT, "ended", _ended).on_conflict_do_nothing(),
)


def written_event(what: Literal["created", "ended"], given: dict[int, Values], row: Any) -> WrittenEvent:
    """Return the event that a *row* of an answer stands for; *given* are the values of the statements, by session."""
    session_id, is_new_device = row
    values = given[session_id]
    return WrittenEvent(
        what=what,
        session_id=session_id,
        user_id=values["user_id"],
        reason=values["reason"],
        initiated_by=values["initiated_by"],
        successor_id=values.get("successor_id"),
        because=values.get("because"),
        is_new_device=is_new_device,
    )
