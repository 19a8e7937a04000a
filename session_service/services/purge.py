"""The purge: record the ends of timed-out sessions, and delete rows past retention.

Callers see the same answers before and after it: a session that timed out is shown as ended in any case. The purge
works in batches, each in a short transaction of its own. So it may be killed at any point, and may run beside live
traffic and beside another purge.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from session_service.config import Settings
from session_service.database import event_queries, import_queries, purge_queries
from session_service.database.transaction import transaction
from session_service.records import EndReason, PurgeRuns, UnendedSession
from session_service.rules import policy
from session_service.services.pacing import in_paced_transaction

Ends = dict[UnendedSession, tuple[datetime, EndReason]]


@dataclass
class Purged:
    """What a run has done so far, or what it would do."""

    ends: int = 0
    """Sessions whose end by a time limit (`idle`, `expired`) was recorded, with the instant of the limit."""
    sessions: int = 0
    """Deleted sessions: they ended `RETENTION_DAYS` ago or earlier."""
    tokens: int = 0
    """Deleted tokens: they had expired (`exp`)."""
    events: int = 0
    """Deleted events: they were recorded `EVENT_RETENTION_DAYS` ago or earlier."""
    longest_seconds: float = 0.0
    """Duration of the longest transaction."""


def purge(settings: Settings, *, now: datetime, batch: int) -> Iterator[Purged]:
    """Purge as of *now*, at most *batch* rows in one transaction; yield the totals so far after each batch.

    Raises:
        DatabaseUnavailable: earlier batches stay committed.
    """
    done, kept_since = Purged(), _kept_since(settings, now)
    for ends in _ends_in_pages(settings, now, batch):
        if ends:
            done.ends += in_paced_transaction(done, partial(_record, ends, settings, now))
        yield done
    for tokens in _batches(done, partial(purge_queries.delete_tokens, now, batch), batch):
        done.tokens += tokens
        yield done
    for sessions in _batches(done, partial(purge_queries.delete_ended, kept_since, batch), batch):
        done.sessions += sessions
        yield done
    events_since = _events_kept_since(settings, now)
    for events in _batches(done, partial(event_queries.delete_events, events_since, batch), batch):
        done.events += events
        yield done
    for unused in _unused_owners_in_pages(batch):
        in_paced_transaction(done, partial(purge_queries.delete_owners, unused))
        yield done
    for marks in _useless_marks_in_pages(kept_since, batch):
        in_paced_transaction(done, partial(import_queries.delete_marks, marks))
        yield done
    with transaction(writes=True):
        event_queries.forget_other_cluster()
    with transaction(writes=True):
        purge_queries.add_run(done.ends, done.sessions, done.tokens, now)


def totals() -> tuple[PurgeRuns, dict[EndReason, int]]:
    """Return the totals of all complete purges, and the number of sessions that commands have ended, by reason."""
    with transaction():
        return purge_queries.runs(), purge_queries.command_ends()


def would_purge(settings: Settings, *, now: datetime, batch: int) -> Purged:
    """Return what `purge` would do as of *now*, without changes."""
    kept_since, counted = _kept_since(settings, now), Purged()
    for ends in _ends_in_pages(settings, now, batch):
        counted.ends += len(ends)
        counted.sessions += sum(ended_at <= kept_since for ended_at, _ in ends.values())
    with transaction(takes_long=True):
        counted.sessions += purge_queries.count_ended(kept_since)
        counted.tokens = purge_queries.count_expired_tokens(now)
        counted.events = event_queries.count_events(_events_kept_since(settings, now))
    return counted


def _kept_since(settings: Settings, now: datetime) -> datetime:
    """Return the latest `ended_at` that is purged.

    At least the last 60 seconds are kept, because the limit of sign-ins per minute counts rows.
    """
    return now - max(timedelta(days=settings.RETENTION_DAYS), policy.SIGN_IN_WINDOW)


def _events_kept_since(settings: Settings, now: datetime) -> datetime:
    return now - timedelta(days=settings.EVENT_RETENTION_DAYS)


def _record(ends: Mapping[UnendedSession, object], settings: Settings, now: datetime) -> int:
    """Lock those sessions and record the ends that still apply; return how many.

    A session may have been used or ended since it was read. The lock excludes further changes.
    """
    locked = _timed_out(purge_queries.lock_unended([one.id for one in ends]), settings, now)
    if locked:
        purge_queries.mark_timed_out(locked, now)
    return len(locked)


def _timed_out(sessions: list[UnendedSession], settings: Settings, now: datetime) -> Ends:
    ends = {one: policy.timed_out(one, now, settings.idle) for one in sessions}
    return {one: end for one, end in ends.items() if end}


def _ends_in_pages(settings: Settings, now: datetime, batch: int) -> Iterator[Ends]:
    """Read all sessions without a recorded end, page by page; yield the ends of those that timed out."""
    page: list[UnendedSession] = []
    while True:
        with transaction():
            page = purge_queries.list_unended_after(page[-1] if page else None, batch)
        yield _timed_out(page, settings, now)
        if len(page) < batch:
            return


def _unused_owners_in_pages(batch: int) -> Iterator[list[str]]:
    """Read all rows of `session_owners`, page by page; yield the ids of users without any session."""
    page: list[tuple[str, bool]] = [("", True)]
    while page:
        with transaction():
            page = purge_queries.list_owners_after(page[-1][0], batch)
        unused = [user_id for user_id, has_session in page if not has_session]
        if unused:
            yield unused


def _useless_marks_in_pages(before: datetime, batch: int) -> Iterator[list[import_queries.Mark]]:
    """Read what is remembered of all imports, page by page; yield the rows whose lifetime ended at or before *before*.

    An import would leave these out, even if they were unknown.
    """
    after = ("", "")
    while True:
        with transaction():
            page = import_queries.list_marks_after(after, batch)
        useless = [mark for mark in page if mark.expires_at <= before]
        if useless:
            yield useless
        if len(page) < batch:
            return
        after = (page[-1].source, page[-1].source_id)


def _batches(done: Purged, step: Callable[[], int], batch: int) -> Iterator[int]:
    """Repeat *step* until it changes less than a batch. Rows that are locked by others are left for the next run."""
    count = batch
    while count == batch:
        count = in_paced_transaction(done, step)
        yield count
