"""The prepared statements, built once for both databases: building one costs as much as running it.

`session_queries` says what each of them is for.
"""

from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import (
    Integer,
    String,
    Table,
    and_,
    bindparam,
    case,
    column,
    false,
    func,
    literal_column,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database.models import VERSION_TABLE, CommandEnds, SessionOwner, SessionToken, UserSession
from session_service.database.prepared import Prepared
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.records import StoredSession, UnendedSession

MAX_ENDED_LISTED = 100
"""Most ended sessions in one list, the newest by id (contract of `include_inactive`)."""


_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_owners = cast(Table, SessionOwner.__table__)
_command_ends = cast(Table, CommandEnds.__table__)
_columns = [_sessions.c[name] for name in StoredSession._fields]

_of_user = _sessions.c.user_id == bindparam("of_user")
_of_id = _sessions.c.id == bindparam("of_id")
_active = and_(
    _sessions.c.ended_at.is_(None),
    _sessions.c.expires_at > bindparam("now", type_=_sessions.c.expires_at.type),
    _sessions.c.last_activity > bindparam("idle_since", type_=_sessions.c.last_activity.type),
)
"""`policy.is_active` as a WHERE clause, in every read of active sessions and every write to one."""

_now = bindparam("now", type_=_sessions.c.ended_at.type)
_end: dict[str, Any] = {
    # No session ends before it was last used, even if clocks differ or the request waited for a lock.
    "ended_at": case((_sessions.c.last_activity > _now, _sessions.c.last_activity), else_=_now),
    **{name: bindparam(f"new_{name}") for name in ("end_reason", "ended_by", "successor_id", "because")},
}


def last_id_on_sqlite(of: Table) -> Any:
    """Return the highest id that a table has ever had on SQLite, or 0: `AUTOINCREMENT` keeps it in a table."""
    sequence = table("sqlite_sequence", column("name"), column("seq", Integer))
    return func.coalesce(select(sequence.c.seq).where(sequence.c.name == of.name).scalar_subquery(), 0)


def next_id_on_postgresql(of: Table) -> Any:
    """Return the next id of a table's sequence, which has another name where the one that is given first was taken."""
    return func.nextval(func.pg_get_serial_sequence(literal_column(f"'{of.name}'"), literal_column("'id'")))


def _upsert(build: Callable[[Any], Any]) -> Prepared:
    """Return an INSERT with an ON CONFLICT clause, which SQLAlchemy has for each database separately."""
    on_postgresql, on_sqlite = (build(insert_into) for insert_into in (postgresql.insert, sqlite.insert))
    return Prepared(on_postgresql, on_sqlite=on_sqlite)


def _insert_unless_there(build: Callable[[Any], Any]) -> Prepared:
    return _upsert(lambda insert_into: build(insert_into).on_conflict_do_nothing())


GET = Prepared(select(*_columns).where(_of_id))
LIST_ACTIVE = Prepared(
    select(*_columns)
    .where(_of_user, _active)
    .order_by(_sessions.c.last_activity.desc(), _sessions.c.id.desc())
    .limit(MAX_ACTIVE_LISTED)
)
LIST_ENDED = Prepared(
    select(*_columns).where(_of_user, ~_active).order_by(_sessions.c.id.desc()).limit(MAX_ENDED_LISTED)
)
LIST_UNENDED = Prepared(
    select(*_columns).where(_of_user, _sessions.c.ended_at.is_(None)).order_by(_sessions.c.id).limit(MAX_ACTIVE_LISTED)
)
LIST_RECENT = Prepared(
    select(*_columns)
    .where(
        _of_user,
        or_(
            _sessions.c.ended_at.is_(None),
            _sessions.c.ended_at > bindparam("ended_after", type_=_sessions.c.ended_at.type),
        ),
    )
    .order_by(_sessions.c.ended_at.is_not(None), _sessions.c.id.desc())
    .limit(MAX_ACTIVE_LISTED)
)
COUNT_ACTIVE = Prepared(select(func.count()).select_from(_sessions).where(_of_user, _active))
ANY_OF_USER = Prepared(select(_sessions.c.id).where(_of_user).limit(1))
LIST_CREATED_AT = Prepared(
    select(_sessions.c.created_at)
    .where(_of_user)
    .order_by(_sessions.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_openers = _tokens.alias("openers")
LIST_BY_TOKEN = Prepared(
    select(*_columns)
    .join(_tokens, _tokens.c.session_id == _sessions.c.id)
    .where(
        _tokens.c.token_key == bindparam("token_key"),
        _of_user,
        or_(
            _tokens.c.is_opener,
            ~select(_openers.c.session_id)
            .where(_openers.c.token_key == bindparam("token_key"), _openers.c.is_opener)
            .exists(),
        ),
    )
    .order_by(_sessions.c.id.desc())
    .limit(MAX_ENDED_LISTED)
)
_peeked = [*(_sessions.c[name] for name in UnendedSession._fields), _sessions.c.ended_at]
_with_sid = (_of_user, _sessions.c.sid == bindparam("sid"))
GET_BY_SID = Prepared(select(*_columns).where(*_with_sid).order_by(_sessions.c.id.desc()).limit(1))
PEEK_BY_SID = Prepared(select(*_peeked).where(*_with_sid).order_by(_sessions.c.id.desc()).limit(1))
PEEK_BY_TOKEN = Prepared(
    select(*_peeked)
    .join(_tokens, _tokens.c.session_id == _sessions.c.id)
    .where(_tokens.c.token_key == bindparam("token_key"), _of_user)
    .limit(2)
)
"""Two rows are as good as many: only one session alone needs no decision."""

_TOKEN_OF_ACTIVE = select(
    bindparam("token_key", type_=_tokens.c.token_key.type),
    _sessions.c.id,
    bindparam("until", type_=_tokens.c.expires_at.type),
    false(),
).where(_of_id, _active)
REMEMBER_TOKEN = _insert_unless_there(
    lambda insert_into: insert_into(_tokens).from_select(
        ["token_key", "session_id", "expires_at", "is_opener"], _TOKEN_OF_ACTIVE
    )
)
ADD_OWNER = _insert_unless_there(lambda insert_into: insert_into(_owners).values(user_id=bindparam("of_user")))
_locked_owner = select(_owners.c.user_id).where(_owners.c.user_id == bindparam("of_user")).with_for_update()
LOCK_OWNER = Prepared(_locked_owner)
# From a subquery: a function beside FOR UPDATE is called before PostgreSQL waits for the lock, so that ids would not
# ascend with the order of a user's sign-ins, and events not with that of their transactions.
LOCK_OWNER_AND_TAKE_ID = Prepared(
    select(next_id_on_postgresql(_sessions)).select_from(_locked_owner.subquery()),
    on_sqlite=select(last_id_on_sqlite(_sessions) + 1).where(_locked_owner.exists()),
)
_mark_ended = update(_sessions).where(_of_id, _active).values(_end)
MARK_ENDED = Prepared(_mark_ended.returning(*_columns))
MARK_READ_ENDED = Prepared(_mark_ended.returning(_sessions.c.last_activity, _sessions.c.ended_at))
"""For a session that was read before: two columns instead of twenty."""
MARK_TIMED_OUT = Prepared(
    update(_sessions)
    .where(
        _of_id,
        _sessions.c.ended_at.is_(None),
        _sessions.c.last_activity == bindparam("seen", type_=_sessions.c.last_activity.type),
    )
    .values(ended_at=bindparam("new_ended_at"), end_reason=bindparam("new_end_reason"))
)
MARK_ALL_ENDED = Prepared(
    update(_sessions)
    .where(_of_user, _active, _sessions.c.id != bindparam("except_id"))
    .values(_end)
    .returning(*_columns)
)
TOUCH = Prepared(
    update(_sessions)
    .where(_of_id, _active, _sessions.c.last_activity <= bindparam("due", type_=_sessions.c.last_activity.type))
    .values(last_activity=bindparam("now"))
)
ANY_TOKEN_BEYOND = Prepared(
    select(_tokens.c.session_id)
    .where(_tokens.c.expires_at > bindparam("instant", type_=_tokens.c.expires_at.type))
    .limit(1)
)
ADD_COMMAND_ENDS = _upsert(
    lambda insert_into: (
        statement := insert_into(_command_ends).values(reason=bindparam("reason"), sessions=bindparam("more"))
    ).on_conflict_do_update(
        index_elements=["reason"], set_={"sessions": _command_ends.c.sessions + statement.excluded.sessions}
    )
)
SCHEMA_REVISION = Prepared(select(column("version_num", String)).select_from(table(VERSION_TABLE)))
