"""USE CASE: record what ran out, and drop what is past retention. Nothing that a caller sees waits for it.

In batches, each a short transaction of its own, so that it may be killed at any point, run twice at once,
and run beside live traffic.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep

from session_service.config import Settings
from session_service.database import purge_queries
from session_service.database.transaction import transaction
from session_service.records import EndReason, PurgeRuns, UnendedSession
from session_service.rules import policy

Ends = dict[UnendedSession, tuple[datetime, EndReason]]


@dataclass
class Purged:
    """What a run has done so far, or would do."""

    ends: int = 0
    """Sessions whose `idle` or `expired` end is now on record, with the instant that it happened."""
    sessions: int = 0
    """Sessions that ended `RETENTION_DAYS` ago or earlier."""
    tokens: int = 0
    """Tokens that are past their own `exp`."""
    longest_seconds: float = 0.0
    """How long the longest transaction took."""


def purge(settings: Settings, *, now: datetime, batch: int) -> Iterator[Purged]:
    """Purge as of *now*, at most *batch* rows in one transaction; yield what is done after each batch.

    Raises:
        DatabaseUnavailable: what the batches before did stays done.
    """
    done, kept_since = Purged(), _kept_since(settings, now)
    for ends in _ends_in_pages(settings, now, batch):
        if ends:
            done.ends += _in_transaction(done, partial(_record, ends, settings, now))
        yield done
    for tokens in _batches(done, partial(purge_queries.delete_tokens, now, batch), batch):
        done.tokens += tokens
        yield done
    for sessions in _batches(done, partial(purge_queries.delete_ended, kept_since, batch), batch):
        done.sessions += sessions
        yield done
    for unused in _unused_owners_in_pages(batch):
        _in_transaction(done, partial(purge_queries.delete_owners, unused))
        yield done
    with transaction(writes=True):
        purge_queries.add_run(done.ends, done.sessions, done.tokens, now)


def totals() -> tuple[PurgeRuns, dict[EndReason, int]]:
    """Return what all complete runs of the purge have done, and how many sessions commands have ended, by reason."""
    with transaction():
        return purge_queries.runs(), purge_queries.command_ends()


def would_purge(settings: Settings, *, now: datetime, batch: int) -> Purged:
    """Return what `purge` would do as of *now*, and change nothing."""
    kept_since, counted = _kept_since(settings, now), Purged()
    for ends in _ends_in_pages(settings, now, batch):
        counted.ends += len(ends)
        counted.sessions += sum(ended_at <= kept_since for ended_at, _ in ends.values())
    with transaction(takes_long=True):
        counted.sessions += purge_queries.count_ended(kept_since)
        counted.tokens = purge_queries.count_expired_tokens(now)
    return counted


def _kept_since(settings: Settings, now: datetime) -> datetime:
    """Return the instant that ends are kept from: the last minute always, for the rule on sign-ins counts rows."""
    return now - max(timedelta(days=settings.RETENTION_DAYS), policy.SIGN_IN_WINDOW)


def _record(ends: Mapping[UnendedSession, object], settings: Settings, now: datetime) -> int:
    """Record the ends of those sessions that are still to end, now that nobody can use them in between."""
    still = _timed_out(purge_queries.lock_unended([one.id for one in ends]), settings, now)
    if still:
        purge_queries.mark_timed_out(still)
    return len(still)


def _timed_out(sessions: list[UnendedSession], settings: Settings, now: datetime) -> Ends:
    ends = {one: policy.timed_out(one, now, settings.idle) for one in sessions}
    return {one: end for one, end in ends.items() if end}


def _ends_in_pages(settings: Settings, now: datetime, batch: int) -> Iterator[Ends]:
    """Walk over the sessions whose end is not on record; yield the ends of those that ran out, page by page."""
    page: list[UnendedSession] = []
    while True:
        with transaction():
            page = purge_queries.list_unended_after(page[-1] if page else None, batch)
        yield _timed_out(page, settings, now)
        if len(page) < batch:
            return


def _unused_owners_in_pages(batch: int) -> Iterator[list[str]]:
    """Walk over the rows that the device limit locks; yield those of users without any session, page by page."""
    page: list[tuple[str, bool]] = [("", True)]
    while page:
        with transaction():
            page = purge_queries.list_owners_after(page[-1][0], batch)
        unused = [user_id for user_id, has_session in page if not has_session]
        if unused:
            yield unused


def _batches(done: Purged, step: Callable[[], int], batch: int) -> Iterator[int]:
    """Repeat *step* until it finds less than a batch; what others hold is left for the next run."""
    count = batch
    while count == batch:
        count = _in_transaction(done, step)
        yield count


def _in_transaction(done: Purged, step: Callable[[], int]) -> int:
    """Run *step* in a transaction of its own, and leave others as much time as it took."""
    started = monotonic()
    with transaction(writes=True):
        count = step()
    seconds = monotonic() - started
    done.longest_seconds = max(done.longest_seconds, seconds)
    # SQLite has one writer at a time, and whoever waits for it polls.
    sleep(seconds)
    return count
