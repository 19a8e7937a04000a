"""The statements that write events; `event_queries` says how events are read."""

from typing import Any, Literal, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database.models import SessionEventRow, UserSession
from session_service.database.prepared import Prepared, Values
from session_service.records import SessionEvent, WrittenEvent

_sessions = cast(Table, UserSession.__table__)
_events = cast(Table, SessionEventRow.__table__)
EVENT_COLUMNS = [_events.c[name] for name in SessionEvent._fields]

_XACT = sql_cast(sql_cast(func.pg_current_xact_id(), Text), BigInteger)
_NO_XACT = literal(0, Integer)

_earlier = select(_sessions.c.id).where(
    _sessions.c.user_id == bindparam("user_id", type_=String),
    _sessions.c.device_key == bindparam("device_key", type_=String),
    _sessions.c.id < bindparam("session_id", type_=BigInteger),
)


def current_xact(connection: Connection) -> ColumnElement[int]:
    """Return the value of `session_events.xact` for rows that *connection* writes."""
    return _NO_XACT if connection.dialect.name == "sqlite" else _XACT


def _add(insert_into: Any, xact: Any, what: str, names: list[str], **more: Any) -> Any:
    """Return the INSERT of one event. Its answer is the session's id, and whether the session's device is new."""
    values = {name: bindparam(name, type_=_events.c[name].type) for name in names}
    insert = insert_into(_events).values({"xact": xact, "what": literal(what, String), **values, **more})
    if what == "ended":
        insert = insert.on_conflict_do_nothing()  # another transaction has ended the session; it is created only once
    return insert.returning(_events.c.session_id, _events.c.is_new_device)


def _prepared(what: str, *names: str, **more: Any) -> Prepared:
    always = ["session_id", "user_id", "at", "recorded_at", "reason", "initiated_by", "device_name", *names]
    return Prepared(
        _add(postgresql.insert, _XACT, what, always, **more),
        on_sqlite=_add(sqlite.insert, _NO_XACT, what, always, **more),
    )


# Values alone, no array and no join: PostgreSQL would plan those each time, which costs more than to run them.
ADD_CREATED = _prepared("created", is_new_device=~_earlier.exists())
ADD_ENDED = _prepared("ended", "successor_id", "because")


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
