"""The SQL of a search by criteria, as functions to be called within a `transaction`.

A walk is a range of one index, read from its newest entry to its oldest. Each statement reads a bounded number of
entries, whatever else is asked for: that is what keeps a search harmless on a large table.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Subquery,
    Table,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from session_service.database.models import SessionOwner, UserSession, UtcDateTime
from session_service.database.transaction import execute
from session_service.records import StoredSession
from session_service.rules.criteria import BEGINNING, Criteria, Cursor, Question, cursor_of, first_cursor, matches

_sessions = cast(Table, UserSession.__table__)
_owners = cast(Table, SessionOwner.__table__)
_columns = [_sessions.c[name] for name in StoredSession._fields]
_id = _sessions.c.id


class Page(NamedTuple):
    """Some of the sessions that match, in the order of the search."""

    sessions: list[StoredSession]
    next: Cursor | None
    """Up to where was searched; None if there is nothing after it."""


class Place(NamedTuple):
    """How far a count has come."""

    walk: int = 0
    after: Cursor | None = None


class Counted(NamedTuple):
    """How many active sessions match, of some index entries."""

    sessions: int = 0
    highest_id: int = 0
    """Of those; 0 without any. Sessions that are created later have higher ids."""
    examined: int = 0
    next: Place | None = None
    """Where to go on; None at the end."""


class _Walk(NamedTuple):
    """Entries of the index on `key` that are `within` conditions, the last ones first."""

    key: tuple[Column[Any], Column[Any]]
    within: list[ColumnElement[bool]]

    @property
    def is_by_instant(self) -> bool:
        """Whether the entries are in the order of an instant."""
        return isinstance(self.key[0].type, UtcDateTime)


class _Examined(NamedTuple):
    sessions: list[StoredSession]
    upto: Cursor | None
    """The last entry that was examined; None if all were."""


def list_page(question: Question, after: Cursor | None, *, limit: int, examined: int) -> Page:
    """Return the next sessions that match, at most *limit*; fewer where *examined* index entries have no more.

    Each index entry is examined by one page alone, whatever changes meanwhile: keys of entries never change.
    """
    criteria = question.criteria
    first, selection = first_cursor(criteria), criteria.selection
    walks = _walks(criteria, first if after is None else min(first, after))
    if selection is None or not walks:
        return Page([], None)
    done = [_examine(walk, question, limit, max(examined // len(walks), 1)) for walk in walks]
    # Beyond the first walk's end it is not known what comes in between.
    upto = max((one.upto for one in done if one.upto is not None), default=None)
    found = sorted(((cursor_of(one, selection), one) for walk in done for one in walk.sessions), reverse=True)
    sessions = [session for cursor, session in found if upto is None or cursor >= upto]
    if len(sessions) > limit:
        sessions = sessions[:limit]
        upto = cursor_of(sessions[-1], selection)
    return Page(sessions, upto)


def count_active(question: Question, place: Place, entries: int) -> Counted:
    """Count the active sessions that match among so many index *entries* from *place* on.

    Not all at once: for many entries PostgreSQL reads the whole table instead.
    """
    criteria = replace(question.criteria, active=True)
    walks = _walks(criteria, place.after or first_cursor(criteria)) if criteria.selection != "ended_at" else []
    if not walks:
        return Counted()
    walk = walks[place.walk]
    some = _entries(walk, entries)
    is_wanted, is_last = and_(*_refinements(some, question._replace(criteria=criteria))), some.c.number == entries
    wanted_id = case((is_wanted, some.c.id))
    at, last = (func.max(case((is_last, some.c[column.name]))) for column in walk.key)
    found = select(func.count(wanted_id), func.coalesce(func.max(wanted_id), 0), func.count(), at, last)
    sessions, highest_id, examined, at_last, last_id = execute(found.select_from(some)).one()
    then = Place(place.walk + 1) if place.walk + 1 < len(walks) else None
    if last_id is not None:
        then = Place(place.walk, Cursor(at_last if walk.is_by_instant else BEGINNING, last_id))
    return Counted(sessions, highest_id, examined, then)


def lock_owners(user_ids: Collection[str]) -> set[str]:
    """Lock the sessions of these users against other decisions until the end of the transaction; wait for no lock.

    Returns those whom another transaction has locked. On SQLite the writing transaction itself is the lock.
    """
    named = _owners.c.user_id.in_(sorted(user_ids))
    # In the order of ids, as two of these transactions at once should; none waits, so no deadlock is possible.
    free = select(_owners.c.user_id).where(named).order_by(_owners.c.user_id).with_for_update(skip_locked=True)
    locked = set(execute(free).scalars())
    return set(execute(select(_owners.c.user_id).where(named)).scalars()) - locked


def _walks(criteria: Criteria, before: Cursor) -> list[_Walk]:
    """Return what leads to all candidates before a cursor."""
    match criteria.selection:
        case "user_id":
            return [_walk_of(_sessions.c.user_id, criteria.user_id, before)]
        case "network":
            return [_walk_of(_sessions.c.network, network, before) for network in sorted(criteria.networks or ())]
        case "created_at":
            return [_walk_since(_sessions.c.created_at, criteria.created_after, before)]
        case "ended_at":
            walk = _walk_since(_sessions.c.ended_at, criteria.ended_after, before)
            # The index is a partial one.
            return [_Walk(walk.key, [_sessions.c.ended_at.is_not(None), *walk.within])]
    return []


def _walk_of(column: Column[Any], value: str | None, before: Cursor) -> _Walk:
    """Return the entries with one *value* of the column, by id.

    Not `column = value`: the order would then be that of the ids alone, and where the planner takes a value for a
    frequent one, it reads the table in that order, of which nobody knows how far that is.
    """
    bound = literal(value, column.type)
    return _Walk((column, _id), [column >= bound, tuple_(column, _id) < tuple_(bound, literal(before.id, _id.type))])


def _walk_since(column: Column[Any], after: datetime | None, before: Cursor) -> _Walk:
    bound = tuple_(literal(before.at, column.type), literal(before.id, _id.type))
    since = [] if after is None else [column >= literal(after, column.type)]
    return _Walk((column, _id), [*since, tuple_(column, _id) < bound])


def _examine(walk: _Walk, question: Question, limit: int, examined: int) -> _Examined:
    """Read entries of *walk* until *limit* sessions match, or *examined* entries were read."""
    is_refined = bool(_refinements(_sessions, question))
    entries = _entries(walk, examined)
    wanted = select(entries).order_by(*(entries.c[column.name].desc() for column in walk.key)).limit(limit)
    if is_refined:
        # One statement finds the matches and the last entry: between two of them the entries could change.
        wanted = wanted.where(or_(and_(*_refinements(entries, question)), entries.c.number == examined))
    rows = execute(wanted).all()
    sessions = [StoredSession._make(row[:-1]) for row in rows]
    is_all = len(rows) < min(limit, examined) and not (rows and rows[-1].number == examined)
    key = walk.key[0].name
    upto = None if is_all else Cursor(getattr(sessions[-1], key) if walk.is_by_instant else BEGINNING, sessions[-1].id)
    return _Examined([one for one in sessions if matches(one, question)], upto)


def _entries(walk: _Walk, number: int) -> Subquery:
    """Return the first *number* entries of a walk, numbered. The limit leaves the planner no way but the index."""
    order = [column.desc() for column in walk.key]
    numbered = func.row_number().over(order_by=order).label("number")
    return select(*_columns, numbered).where(*walk.within).order_by(*order).limit(number).subquery("entries")


def _refinements(of: FromClause, question: Question) -> Sequence[ColumnElement[bool]]:
    """Return the conditions besides the one that selects. They hold for all that `matches`, and for some others.

    When and why an unrecorded end came is left to `matches`: SQLite cannot calculate with instants.
    """
    c, criteria = of.c, question.criteria
    selection = criteria.selection
    texts = ("device_name", "device_type", "browser", "os")
    found = [c[name] == getattr(criteria, name) for name in texts if getattr(criteria, name) is not None]
    active = _is_active(of, question)
    timed_out = and_(c.ended_at.is_(None), ~active)
    if criteria.user_id is not None and selection != "user_id":
        found.append(c.user_id == criteria.user_id)
    if criteria.networks is not None and selection != "network":
        found.append(c.network.in_(sorted(criteria.networks)))
    if selection != "created_at":
        found += _within(c.created_at, criteria.created_after, criteria.created_before)
    if criteria.has_ended_range and selection != "ended_at":
        found.append(or_(and_(*_within(c.ended_at, criteria.ended_after, criteria.ended_before)), timed_out))
    if criteria.active is not None:
        found.append(active if criteria.active else ~active)
    if criteria.reason is not None:
        recorded = c.end_reason == criteria.reason
        found.append(or_(recorded, timed_out) if criteria.reason in {"idle", "expired"} else recorded)
    return found


def _is_active(of: FromClause, question: Question) -> ColumnElement[bool]:
    """Return `policy.is_active` as a condition."""
    limits = [of.c.ended_at.is_(None), of.c.expires_at > literal(question.now, _sessions.c.expires_at.type)]
    if question.idle is not None:
        idle_since = question.now - question.idle
        limits.append(of.c.last_activity > literal(idle_since, _sessions.c.last_activity.type))
    return and_(*limits)


def _within(column: ColumnElement[Any], after: datetime | None, before: datetime | None) -> list[ColumnElement[bool]]:
    bounds = [] if after is None else [column >= literal(after, column.type)]
    return bounds if before is None else [*bounds, column < literal(before, column.type)]
