"""Statistics for admins: what was created, what ended and why, and how many were active, by hour or by day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict, cast, get_args

from session_service.config import Settings
from session_service.database import statistics_queries
from session_service.database.statistics_queries import Change
from session_service.database.transaction import transaction
from session_service.records import CreationReason, EndReason
from session_service.services import feed

Unit = Literal["hour", "day"]
WIDTH: dict[Unit, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MAX_PERIODS = 168
"""A week of hours."""

DEFAULT_PERIODS: dict[Unit, int] = {"hour": 24, "day": 7}


class Period(TypedDict):
    """One hour or day, in UTC. The last one goes up to the question."""

    since: datetime
    created: dict[CreationReason, int]
    ended: dict[EndReason, int]
    active: int
    """Sessions that were active at its end."""


class Statistics(TypedDict):
    """The periods, the oldest first."""

    by: Unit
    since: datetime
    until: datetime
    events_since: datetime | None
    feed_behind_seconds: float
    """How long the oldest event waits that the feed cannot give to its readers yet."""
    periods: list[Period]


def statistics(settings: Settings, *, by: Unit, periods: int, now: datetime) -> Statistics:
    """Return the last *periods* hours or days, from 1 to `MAX_PERIODS`, up to *now*.

    Raises:
        DatabaseUnavailable: also if there is so much on record that it takes too long.
    """
    since = start_of(now, by) - (periods - 1) * WIDTH[by]
    with transaction():
        changes = statistics_queries.list_changes(since, WIDTH[by], periods, now, settings.idle)
    (oldest,) = (change.number for change in changes if change.reason == "first")
    return Statistics(
        by=by,
        since=since,
        until=now,
        feed_behind_seconds=feed.behind_seconds(now),
        events_since=datetime.fromtimestamp(oldest, UTC) if oldest else None,
        periods=periods_of(changes, since, by, periods),
    )


def start_of(instant: datetime, by: Unit) -> datetime:
    """Return the beginning of the hour or day, in UTC, in which *instant* is."""
    hour = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if by == "hour" else hour.replace(hour=0)


def periods_of(changes: Sequence[Change], since: datetime, by: Unit, number: int) -> list[Period]:
    """Return the periods with all *changes* in them.

    What was active at the end of each follows from what is active now: the changes since then are undone.
    """
    result = [
        Period(
            since=since + index * WIDTH[by],
            created=dict.fromkeys(get_args(CreationReason), 0),
            ended=dict.fromkeys(get_args(EndReason), 0),
            active=0,
        )
        for index in range(number)
    ]
    for reason, index, sessions in changes:
        if index is not None:
            # A clock that is ahead does not add a period.
            period = result[min(index, number - 1)]
            counted = period["created"] if reason in period["created"] else period["ended"]
            cast(dict[str, int], counted)[reason] += sessions
    active = sum(change.number for change in changes if change.reason == "active")
    for period in reversed(result):
        period["active"] = active
        active += sum(period["ended"].values()) - sum(period["created"].values())
    return result
