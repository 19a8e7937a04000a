"""The feed: what was created and ended after a position, for readers who remember that sessions are active.

Two promises: no committed event is skipped or repeated after its position; and an answer to a question that began after
a commit contains that commit's event, or is not complete. `database.event_queries` says how the first one is kept.
"""

from datetime import datetime
from threading import BoundedSemaphore
from time import monotonic, sleep

from session_service import metrics
from session_service.clock import seconds_since
from session_service.config import Settings
from session_service.database import event_queries
from session_service.database.event_queries import EventsRead, Position
from session_service.database.transaction import transaction
from session_service.errors import FeedPositionGone
from session_service.limits import FEED_PAUSE_SECONDS, FEED_WAIT_SECONDS, FEED_WAITERS
from session_service.services.answers import FeedPage
from session_service.services.session_view import present_event

MAX_EVENTS = 500
"""Most events in one answer."""


class Feed:
    """Reads events for services, by the settings of one application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiters = BoundedSemaphore(FEED_WAITERS)

    def read(self, after: Position | None) -> FeedPage:
        """Return the events after a position, oldest first; without one, the present position and no events.

        An event whose transaction is committed may have to wait for an older transaction that is still under way. For a
        short time the answer waits with it, without a connection; then it says that it is not complete.

        Raises:
            FeedPositionGone: events after this position have been purged, or the position is of another database.
        """
        found = _question(after)
        newest = found.newest
        if newest >= found.horizon and after is not None and self._waiters.acquire(blocking=False):
            try:
                found = _wait_for(newest, after, found)
            finally:
                self._waiters.release()
        if after is not None and _is_gone(after, found):
            metrics.feed_polls.labels("gone").inc()
            raise FeedPositionGone
        is_full = after is not None and len(found.events) == MAX_EVENTS
        is_complete = newest < found.horizon and not is_full
        metrics.feed_polls.labels("complete" if is_complete else "incomplete").inc()
        position = (found.events[-1].xact, found.events[-1].id) if is_full else found.next_position
        return FeedPage(
            events=[present_event(event, self._settings) for event in found.events],
            position=f"{position[0]}-{position[1]}",
            complete=is_complete,
            lease_seconds=self._settings.FEED_LEASE_SECONDS,
        )


def behind_seconds(now: datetime) -> float:
    """Return how long the oldest event waits that is committed and cannot be read yet; 0 without one.

    Raises:
        DatabaseUnavailable: it was not counted.
    """
    with transaction():
        oldest = event_queries.oldest_beyond_horizon()
    return seconds_since(oldest, now)


def _question(after: Position | None) -> EventsRead:
    with transaction():
        return event_queries.read_events(after or event_queries.LAST_POSITION, MAX_EVENTS)


def _wait_for(newest: int, after: Position, found: EventsRead) -> EventsRead:
    """Ask again until all events that were committed when the question began can be read, but not for long."""
    until = monotonic() + FEED_WAIT_SECONDS
    while newest >= found.horizon and len(found.events) < MAX_EVENTS and monotonic() < until:
        sleep(FEED_PAUSE_SECONDS)
        found = _question(after)
    return found


def _is_gone(after: Position, found: EventsRead) -> bool:
    return after < found.purged or after > found.last_possible
