"""Queries on events, as functions that run within a `transaction`.

On PostgreSQL events are ordered by (`xact`, `id`). Ids are handed out before transactions are committed, so a reader
that goes by ids alone would pass events whose transaction is still under way. The horizon is the oldest transaction
under way (the `xmin` of the question's snapshot): every event before it is committed or will never be, and every later
one comes after it in this order. A transaction that ends a session gets its id after the one that created the session
is committed (`session_queries.lock_or_add_owner`), so the end comes later. SQLite has one writer at a time, so its ids
are in the order of commits, `xact` is 0, and nothing is beyond the horizon.
"""

from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy import delete as sql_delete

from session_service.database.event_statements import EVENT_COLUMNS
from session_service.database.models import PurgedEvents, SessionEventRow
from session_service.database.prepared import Prepared
from session_service.database.statements import last_id_on_sqlite
from session_service.database.transaction import connection, execute, run_prepared
from session_service.records import SessionEvent

_events = cast(Table, SessionEventRow.__table__)
_purged = cast(Table, PurgedEvents.__table__)

Position = tuple[int, int]
"""`xact` and `id` of an event: the events after it come later in this order."""

_EVERYTHING = 2**62
"""Later than any transaction: the horizon on SQLite."""

LAST_POSITION: Position = (_EVERYTHING, 0)
"""After all events."""


class EventsRead(NamedTuple):
    """What one question found. All of it is the state of one snapshot."""

    events: list[SessionEvent]
    """After the position that was asked for and before the horizon, in order."""
    horizon: int
    """The oldest transaction under way. Every event with a lower `xact` can be read."""
    newest: int
    """The highest `xact` of all committed events, beyond the horizon or not; 0 without events."""
    next_position: Position
    """Later than every event that this snapshot can read, and before every one that it cannot."""
    purged: Position
    """The newest event that the purge has deleted."""
    last_possible: Position
    """No reader of this database can be at a later position."""


def is_after(xact: Any, event_id: Any) -> ColumnElement[bool]:
    """Return the condition that an event comes after a position."""
    # The first comparison follows from the other, but it is what the index is searched by.
    return and_(_events.c.xact >= xact, or_(_events.c.xact > xact, _events.c.id > event_id))


def _read(horizon: Any, xmax: Any, last_id: Any) -> Any:
    """Return the question: one row for each event, with the head; or one row with the head alone."""
    xact, event_id = (bindparam(name, type_=BigInteger) for name in ("after_xact", "after_id"))
    newest = select(func.coalesce(func.max(_events.c.xact), 0)).scalar_subquery()
    columns = (
        horizon.label("horizon"),
        newest.label("newest"),
        xmax.label("xmax"),
        last_id.label("last_id"),
        _purged.c.xact.label("purged_xact"),
        _purged.c.event_id.label("purged_id"),
    )
    head = select(*columns).subquery("head")
    page = (
        select(*EVENT_COLUMNS)
        .where(is_after(xact, event_id), _events.c.xact < horizon)
        .order_by(_events.c.xact, _events.c.id)
        .limit(bindparam("most", type_=Integer))
        .subquery("page")
    )
    return select(head, page).select_from(head.outerjoin(page, true())).order_by(page.c.xact, page.c.id)


def _bigint(xid: Any) -> Any:
    return sql_cast(sql_cast(xid, Text), BigInteger)


_snapshot = func.pg_current_snapshot()
_horizon, _xmax = _bigint(func.pg_snapshot_xmin(_snapshot)), _bigint(func.pg_snapshot_xmax(_snapshot))
_everything, _zero = literal(_EVERYTHING, BigInteger), literal(0, BigInteger)
READ = Prepared(_read(_horizon, _xmax, _zero), on_sqlite=_read(_everything, _zero, last_id_on_sqlite(_events)))
OLDEST_BEYOND_HORIZON = Prepared(
    select(func.min(_events.c.recorded_at)).where(_events.c.xact >= _horizon),
    on_sqlite=select(func.min(_events.c.recorded_at)).where(_events.c.xact > _EVERYTHING),
)


def read_events(after: Position, most: int) -> EventsRead:
    """Return at most *most* events after a position, with what is needed to judge the answer. One statement."""
    rows = run_prepared(READ, {"after_xact": after[0], "after_id": after[1], "most": most}).fetchall()
    horizon, newest, xmax, last_id, purged_xact, purged_id = rows[0][:6]
    events = [SessionEvent._make(row[6:]) for row in rows if row[6] is not None]
    last = (0, last_id)
    ends = (last, last) if horizon == _EVERYTHING else ((horizon, 0), (xmax, 0))
    return EventsRead(events, horizon, newest, ends[0], (purged_xact, purged_id), ends[1])


def oldest_beyond_horizon() -> datetime | None:
    """Return when the oldest event was recorded that is committed and cannot be read yet; None without one."""
    found: datetime | None = run_prepared(OLDEST_BEYOND_HORIZON, {}).fetchone()[0]
    return found


def delete_events(recorded_before: datetime, limit: int) -> int:
    """Delete events recorded before an instant, of the *limit* oldest; move the position of the purge on."""
    oldest = select(_events.c.id).order_by(_events.c.id).limit(limit)
    old = sql_delete(_events).where(_events.c.id.in_(oldest), _events.c.recorded_at < recorded_before)
    positions = [(xact, event_id) for xact, event_id in execute(old.returning(_events.c.xact, _events.c.id))]
    if positions:
        xact, event_id = max(positions)
        is_later = or_(_purged.c.xact < xact, and_(_purged.c.xact == xact, _purged.c.event_id < event_id))
        execute(update(_purged).where(is_later).values(xact=xact, event_id=event_id))
    return len(positions)


def count_events(recorded_before: datetime) -> int:
    """Return how many events repeated calls of `delete_events` would delete."""
    old = select(func.count()).select_from(_events).where(_events.c.recorded_at < recorded_before)
    return int(execute(old).scalar_one())


def forget_other_cluster() -> bool:
    """Delete events of transactions that this PostgreSQL has not had yet; return whether there were any.

    A backup that is restored into another cluster brings them: its transaction ids mean nothing here. Every reader's
    position is gone then.
    """
    if connection().dialect.name == "sqlite":
        return False
    is_impossible = or_(
        select(_events.c.id).where(_events.c.xact >= _xmax).exists(),
        select(_purged.c.id).where(_purged.c.xact > _xmax).exists(),
    )
    found = bool(execute(select(is_impossible)).scalar())
    if found:
        execute(sql_delete(_events).where(_events.c.xact >= _xmax))
        execute(update(_purged).values(xact=_horizon, event_id=0))
    return found
