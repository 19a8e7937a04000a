"""The statement that writes events, for both databases; `event_queries` says how events are read.

It copies what it needs from the rows of `sessions` as the transaction left them, so one statement is enough for a
sign-in and everything that ended for it.
"""

import json
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    column,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

from session_service.database.models import SessionEventRow, UserSession
from session_service.database.prepared import Prepared
from session_service.records import SessionEvent

_sessions = cast(Table, UserSession.__table__)
_events = cast(Table, SessionEventRow.__table__)
EVENT_COLUMNS = [_events.c[name] for name in SessionEvent._fields]


class _Ids(TypeDecorator[list[int]]):
    """A list of ids as one parameter: an array on PostgreSQL, a text of JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type on this database."""
        on_postgresql = dialect.name == "postgresql"
        return dialect.type_descriptor(postgresql.ARRAY(BigInteger) if on_postgresql else Text())

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> Any:
        """Return what the driver takes."""
        return value if dialect.name == "postgresql" else json.dumps(value)


_ids = bindparam("ended_ids", type_=_Ids())
_created_id = bindparam("created_id", type_=BigInteger)
_recorded_at = bindparam("recorded_at", type_=_events.c.recorded_at.type)


def _add_events(insert_into: Any, xact: Any, is_ended_id: Any) -> Any:
    """Return the INSERT of one event for the session `created_id`, and of one for each of `ended_ids` that has ended.

    Of an end that is on record already there is no second one.
    """
    session, earlier = _sessions.alias("session"), _sessions.alias("earlier")
    seen_before = select(earlier.c.id).where(
        earlier.c.user_id == session.c.user_id,
        earlier.c.device_key == session.c.device_key,
        earlier.c.id < session.c.id,
    )
    created = select(
        xact,
        literal("created", String),
        session.c.id,
        session.c.user_id,
        session.c.created_at,
        _recorded_at,
        bindparam("created_reason", type_=String),
        bindparam("created_by", type_=String),
        sql_cast(null(), BigInteger),
        sql_cast(null(), String),
        session.c.device_name,
        ~seen_before.exists(),
    ).where(session.c.id == _created_id)
    ended = select(
        xact,
        literal("ended", String),
        _sessions.c.id,
        _sessions.c.user_id,
        _sessions.c.ended_at,
        _recorded_at,
        _sessions.c.end_reason,
        _sessions.c.ended_by,
        _sessions.c.successor_id,
        _sessions.c.because,
        _sessions.c.device_name,
        null(),
    ).where(is_ended_id(_sessions.c.id), _sessions.c.ended_at.is_not(None))
    names = ["xact", "what", "session_id", "user_id", "at", "recorded_at", "reason", "initiated_by"]
    names += ["successor_id", "because", "device_name", "is_new_device"]
    insert = insert_into(_events).from_select(names, union_all(created, ended))
    return insert.on_conflict_do_nothing().returning(*EVENT_COLUMNS)


_XACT = sql_cast(sql_cast(func.pg_current_xact_id(), Text), BigInteger)
_NO_XACT = literal(0, Integer)


def current_xact(connection: Connection) -> ColumnElement[int]:
    """Return the value of `session_events.xact` for rows that *connection* writes."""
    return _NO_XACT if connection.dialect.name == "sqlite" else _XACT


ADD_EVENTS = Prepared(
    _add_events(postgresql.insert, _XACT, lambda session_id: session_id == func.any(_ids)),
    on_sqlite=_add_events(
        sqlite.insert,
        _NO_XACT,
        lambda session_id: session_id.in_(select(column("value")).select_from(func.json_each(_ids))),
    ),
)
