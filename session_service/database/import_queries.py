"""The SQL of an import, as functions to be called within a `transaction`.

A batch is a few statements, however many rows it has.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ARRAY, Integer, String, Table, bindparam, func, select, tuple_
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database.bulk import insert_rows
from session_service.database.import_models import ImportedSession
from session_service.database.models import SessionOwner, SessionToken, UserSession
from session_service.database.statements import last_id_on_sqlite, next_id_on_postgresql
from session_service.database.transaction import commit_so_far, connection, execute
from session_service.records import StoredSession

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_owners = cast(Table, SessionOwner.__table__)
_imported = cast(Table, ImportedSession.__table__)
_columns = [_sessions.c[name] for name in StoredSession._fields]

_NEXT_IDS = select(next_id_on_postgresql(_sessions)).select_from(
    func.generate_series(1, bindparam("number", type_=Integer))
)
_ADD_OWNERS = (
    postgresql.insert(_owners)
    .from_select(["user_id"], select(func.unnest(bindparam("user_ids", type_=ARRAY(String)))))
    .on_conflict_do_nothing()
)
_ADD_OWNERS_ON_SQLITE = sqlite.insert(_owners).on_conflict_do_nothing()


class Imported(NamedTuple):
    """Which session a row of an application's table has become."""

    source_id: str
    session_id: int
    user_id: str | None
    """Whose session it is; None if the purge has deleted it."""


class Mark(NamedTuple):
    """A row of `imported_sessions`."""

    source: str
    source_id: str
    session_id: int
    expires_at: datetime


class OpenerToken(NamedTuple):
    """A row of `session_tokens`: a token with which the application opened the session."""

    token_key: bytes
    session_id: int
    expires_at: datetime
    is_opener: bool = True


def lock_or_add_owners(user_ids: Collection[str]) -> None:
    """Lock these users as a sign-in locks one, adding the rows that are missing. Nothing else may be written before.

    All imports lock in the order of ids, and a sign-in locks one user, so that nobody waits in a circle. Rows that are
    added are committed at once (see `session_queries.lock_or_add_owner`).
    """
    ordered = sorted(user_ids)
    while missing := set(ordered) - _lock_owners(ordered):
        added = [user_id for user_id in ordered if user_id in missing]
        if connection().dialect.name == "sqlite":
            execute(_ADD_OWNERS_ON_SQLITE, [{"user_id": user_id} for user_id in added])
        else:
            execute(_ADD_OWNERS, {"user_ids": added})
        commit_so_far()


def _lock_owners(ordered: Sequence[str]) -> set[str]:
    rows = select(_owners.c.user_id).where(_owners.c.user_id.in_(ordered)).order_by(_owners.c.user_id)
    return set(execute(rows.with_for_update()).scalars())


def list_imported(source: str, source_ids: Collection[str]) -> dict[str, Imported]:
    """Return which of these rows were imported before, by their ids."""
    found = (
        select(_imported.c.source_id, _imported.c.session_id, _sessions.c.user_id)
        .select_from(_imported.outerjoin(_sessions, _sessions.c.id == _imported.c.session_id))
        .where(_imported.c.source == source, _imported.c.source_id.in_(source_ids))
    )
    return {row.source_id: Imported._make(row) for row in execute(found)}


def list_unended_of(user_ids: Collection[str]) -> list[StoredSession]:
    """Return the sessions of these users without a recorded end, oldest first."""
    unended = select(*_columns).where(_sessions.c.user_id.in_(user_ids), _sessions.c.ended_at.is_(None))
    return [StoredSession._make(row) for row in execute(unended.order_by(_sessions.c.id))]


def next_ids(number: int) -> list[int]:
    """Return so many ids for new sessions, in ascending order."""
    if connection().dialect.name == "sqlite":
        last = int(execute(select(last_id_on_sqlite(_sessions))).scalar_one())
        return list(range(last + 1, last + 1 + number))
    return sorted(execute(_NEXT_IDS, {"number": number}).scalars())


def insert_sessions(sessions: Sequence[StoredSession]) -> None:
    """Add sessions, with ids of `next_ids`. They have no events."""
    insert_rows(_sessions, StoredSession._fields, sessions)


def insert_tokens(tokens: Sequence[OpenerToken]) -> None:
    """Remember tokens for sessions of this transaction. Each pair of a token and a session is new."""
    insert_rows(_tokens, OpenerToken._fields, tokens)


def insert_marks(marks: Sequence[Mark]) -> None:
    """Remember which rows were imported. None of them was before."""
    insert_rows(_imported, Mark._fields, marks)


def list_marks_after(after: tuple[str, str], limit: int) -> list[Mark]:
    """Return the next rows after *after*, a source and an id (twice "" for the first); lock none."""
    key = tuple_(_imported.c.source, _imported.c.source_id)
    page = select(*[_imported.c[name] for name in Mark._fields]).where(key > tuple_(*after))
    return [Mark._make(row) for row in execute(page.order_by(*key.clauses).limit(limit))]


def delete_marks(marks: Collection[Mark]) -> int:
    """Delete these rows; return how many were left."""
    keys = [(mark.source, mark.source_id) for mark in marks]
    gone = sql_delete(_imported).where(tuple_(_imported.c.source, _imported.c.source_id).in_(keys))
    return execute(gone).rowcount


def list_marks_of(session_ids: Collection[int]) -> list[dict[str, Any]]:
    """Return which rows have become these sessions, by session and id."""
    of_sessions = select(_imported).where(_imported.c.session_id.in_(session_ids))
    ordered = of_sessions.order_by(_imported.c.session_id, _imported.c.source, _imported.c.source_id)
    return [dict(row) for row in execute(ordered).mappings()]


def delete_marks_of(user_id: str) -> None:
    """Delete what is remembered of the rows that have become the user's sessions. To be called before these go."""
    theirs = select(_sessions.c.id).where(_sessions.c.user_id == user_id)
    execute(sql_delete(_imported).where(_imported.c.session_id.in_(theirs)))
