"""The one statement of the statistics, for both databases: changes by period, from the events and the open sessions."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast, get_args

from sqlalchemy import (
    BigInteger,
    Integer,
    Interval,
    String,
    Table,
    bindparam,
    case,
    column,
    extract,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    union_all,
    values,
)
from sqlalchemy import cast as sql_cast

from session_service.database.models import SessionEventRow, UserSession
from session_service.database.prepared import Prepared
from session_service.database.transaction import run_prepared
from session_service.records import CreationReason, EndReason

_sessions = cast(Table, UserSession.__table__)
_events = cast(Table, SessionEventRow.__table__)

_INSTANT = _events.c.at.type
_SECONDS = BigInteger()
_since, _width = bindparam("since", type_=_SECONDS), bindparam("width", type_=_SECONDS)
_since_at = bindparam("since_at", type_=_INSTANT)

NEVER_IDLE = timedelta(days=365_000)
"""An idle timeout that is off."""


REASONS: tuple[str, ...] = (*get_args(CreationReason), *get_args(EndReason))


class Change(NamedTuple):
    """How many sessions changed in the same way within one period."""

    reason: str
    """One of `REASONS`; or `active`, all sessions that are active now; or `first`, the oldest event on record."""
    period: int | None
    """Counted from 0, the first; None for `active`, `first`, and unrecorded ends before the first period."""
    number: int
    """For `first`: seconds since 1970."""


def _interval(name: str) -> Any:
    # PostgreSQL would take a parameter after an instant for a number.
    return sql_cast(bindparam(name, type_=Interval), Interval)


class _Arithmetic(NamedTuple):
    """How a database calculates with instants. PostgreSQL has a type for them, SQLite has seconds since 1970."""

    instant: Callable[[Any], Any]
    """Returns a column as something that can be compared and added to."""
    earlier: Callable[[Any, Any], Any]
    begin: Callable[[Any], Any]
    """Returns what all instants of one period have in common: cheap, because it is calculated for each row."""
    number: Callable[[Any], Any]
    """Returns the period's number, of what `begin` has returned."""
    since: Any
    now: Any
    idle: Any


def _grouped_events(by: _Arithmetic) -> Any:
    """Return the number of events by reason and period: all of them are read and grouped."""
    begin = by.begin(by.instant(_events.c.at))
    of_period = (
        select(_events.c.reason, begin.label("begin"))
        .where(_events.c.at >= bindparam("since_at", type_=_INSTANT))
        .subquery("of_period")
    )
    events = (
        select(of_period.c.reason, of_period.c.begin, func.count().label("number"))
        .group_by(of_period.c.reason, of_period.c.begin)
        .subquery("events")
    )
    return select(sql_cast(events.c.reason, String), by.number(events.c.begin), events.c.number)


def _counted_events() -> Any:
    """Return the same on PostgreSQL: a count of its own for each reason and period, of entries of the index alone.

    It takes a third of the time: grouping costs more than reading does.
    """
    reasons = values(column("reason", String), name="reasons").data([(reason,) for reason in REASONS])
    last = bindparam("last_period", type_=Integer)
    numbers = func.generate_series(0, last).table_valued("number", name="numbers").render_derived()
    number = numbers.c.number
    width = _interval("width_as_interval")
    # A clock that is ahead does not add a period.
    until = case((number == last, literal_column("'infinity'::timestamptz")), else_=_since_at + (number + 1) * width)
    is_counted = (
        _events.c.reason == reasons.c.reason,
        _events.c.at >= _since_at + number * width,
        _events.c.at < until,
    )
    events = select(func.count()).select_from(_events).where(*is_counted).correlate(reasons, numbers).scalar_subquery()
    everything = reasons.join(numbers, true())
    return select(sql_cast(reasons.c.reason, String), sql_cast(number, BigInteger), events).select_from(everything)


def _changes(by: _Arithmetic, changed: Any) -> Any:
    """Return the statement; *changed* is its part that counts events."""
    # A time limit ends a session at once; the purge records that later, with an event.
    expires_at, idle_at = by.instant(_sessions.c.expires_at), by.instant(_sessions.c.last_activity) + by.idle
    ends_at = by.earlier(expires_at, idle_at)
    has_ended = ends_at <= by.now
    # Before the first period it is nobody's: null, as for those that are active.
    period = case((has_ended & (ends_at >= by.since), by.begin(ends_at)), else_=null())
    reason = case((~has_ended, null()), (expires_at <= idle_at, "expired"), else_="idle")
    unended = (
        select(reason.label("reason"), period.label("begin")).where(_sessions.c.ended_at.is_(None)).subquery("unended")
    )
    open_sessions = (
        select(unended.c.reason, unended.c.begin, func.count().label("number"))
        .group_by(unended.c.reason, unended.c.begin)
        .subquery("open_sessions")
    )
    still_open = select(
        sql_cast(func.coalesce(open_sessions.c.reason, "active"), String),
        by.number(open_sessions.c.begin),
        open_sessions.c.number,
    )
    oldest = select(_events.c.recorded_at).order_by(_events.c.id).limit(1).scalar_subquery()
    first = select(
        sql_cast(literal("first"), String),
        sql_cast(null(), BigInteger),
        sql_cast(func.coalesce(extract("epoch", oldest), 0), BigInteger),
    )
    return union_all(changed, still_open, first)


_ON_POSTGRESQL = _Arithmetic(
    instant=lambda column: column,
    earlier=func.least,
    begin=lambda instant: func.date_bin(_interval("width_as_interval"), instant, _since_at),
    number=lambda begin: sql_cast((extract("epoch", begin) - _since) / _width, BigInteger),
    since=_since_at,
    now=bindparam("now_at", type_=_INSTANT),
    idle=_interval("idle_as_interval"),
)
_ON_SQLITE = _Arithmetic(
    instant=lambda column: extract("epoch", column),
    earlier=func.min,
    begin=lambda instant: (instant - _since).op("/", precedence=8)(_width),  # whole numbers
    number=lambda begin: sql_cast(begin, Integer),
    since=_since,
    now=bindparam("now", type_=_SECONDS),
    idle=bindparam("idle", type_=_SECONDS),
)
CHANGES = Prepared(
    _changes(_ON_POSTGRESQL, _counted_events()), on_sqlite=_changes(_ON_SQLITE, _grouped_events(_ON_SQLITE))
)


def list_changes(
    since: datetime, width: timedelta, periods: int, now: datetime, idle: timedelta | None
) -> list[Change]:
    """Return the changes in *periods* of the length *width* from *since* on, and how many are active at *now*.

    It reads the events since then and all sessions without a recorded end. The answer has at most 10 rows for each
    period.
    """
    idle = NEVER_IDLE if idle is None else idle
    as_they_are = {"since_at": since, "now_at": now, "width_as_interval": width, "idle_as_interval": idle}
    in_seconds = {
        "since": int(since.timestamp()),
        "now": int(now.timestamp()),
        "width": int(width.total_seconds()),
        "idle": int(idle.total_seconds()),
        "last_period": periods - 1,
    }
    return [Change._make(row) for row in run_prepared(CHANGES, {**as_they_are, **in_seconds}).fetchall()]
