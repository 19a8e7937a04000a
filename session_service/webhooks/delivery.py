"""One endpoint: its turn, in which a process sends it what is due.

A turn holds the endpoint's lease. Events are sent in order; the position moves after the receiver's answer, in a
transaction that names the lease. So a process that is killed at any point repeats at most one event, and one that lost
its lease while it was frozen moves nothing.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from time import monotonic

from session_service.clock import utcnow
from session_service.config import Settings
from session_service.database import event_queries, parked_queries, webhook_queries
from session_service.database.event_queries import LAST_POSITION, EventsRead, Position
from session_service.database.transaction import transaction
from session_service.database.webhook_queries import EndpointState, FailedAttempt
from session_service.limits import (
    WEBHOOK_BATCH,
    WEBHOOK_LEASE_MARGIN_SECONDS,
    WEBHOOK_LEASE_USABLE_SECONDS,
    WEBHOOK_PAUSE_SECONDS,
)
from session_service.records import SessionEvent, StoredSession
from session_service.webhooks.call import post
from session_service.webhooks.endpoints import Endpoint
from session_service.webhooks.errors import CallFailed
from session_service.webhooks.message import body_of, headers_of
from session_service.webhooks.schedule import next_attempt

GONE = 410

_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What this process has done for an endpoint."""

    delivered: int = 0
    failed: int = 0
    parked: int = 0


@dataclass
class Delivery:
    """Sends events to one endpoint, in turns."""

    endpoint: Endpoint
    settings: Settings
    holder: str
    """Identifies this process in leases."""
    is_stopping: Callable[[], bool]
    counts: Counts = field(default_factory=Counts)
    _leased_at: float = 0.0

    @property
    def _lease_seconds(self) -> float:
        return self.endpoint.timeout_seconds + WEBHOOK_LEASE_MARGIN_SECONDS

    def register(self) -> None:
        """Put the endpoint on record: a new one begins at the present position.

        Raises:
            DatabaseUnavailable: it may be repeated.
        """
        with transaction(writes=True):
            present = event_queries.read_events(LAST_POSITION, 1).next_position
            webhook_queries.add_endpoint(self.endpoint.name, present)

    def turn(self) -> float:
        """Send what is due, at most a batch; return after how many seconds to look again.

        Raises:
            DatabaseUnavailable: what was delivered last may be delivered again.
        """
        if not self._has_work():
            return WEBHOOK_PAUSE_SECONDS
        state = self._lease()
        if state is None:
            return WEBHOOK_PAUSE_SECONDS
        try:
            return self._send_due(state)
        finally:
            with transaction(writes=True):
                webhook_queries.release_lease(self.endpoint.name, self.holder)

    def _has_work(self) -> bool:
        """Look without a lease: an idle endpoint costs two statements that write nothing."""
        with transaction():
            state = webhook_queries.get_endpoint(self.endpoint.name)
            if state is None:  # an operator has forgotten it
                return False
            found = event_queries.read_events((state.xact, state.event_id), 1)
            has_events = bool(found.events) or _missed_to(state, found) is not None
            is_pausing = state.next_attempt_at is not None and state.next_attempt_at > utcnow()
            return (has_events and not is_pausing) or parked_queries.has_due(self.endpoint.name)

    def _lease(self) -> EndpointState | None:
        asked_at = monotonic()
        with transaction(writes=True):
            state = webhook_queries.take_lease(self.endpoint.name, self.holder, self._lease_seconds, utcnow())
        if state is not None:
            self._leased_at = asked_at
        return state

    def _holds_lease_for_a_call(self) -> bool:
        """Return whether a call that begins now ends before the lease does; renew the lease if need be."""
        return monotonic() - self._leased_at < WEBHOOK_LEASE_USABLE_SECONDS or self._lease() is not None

    def _send_due(self, state: EndpointState) -> float:
        with transaction():
            due = parked_queries.list_due(self.endpoint.name, WEBHOOK_BATCH)
            found = event_queries.read_events((state.xact, state.event_id), WEBHOOK_BATCH)
            events = due + found.events
            sessions = webhook_queries.list_sessions([event.session_id for event in events])
        for event in due:
            if not self._repeat(event, sessions.get(event.session_id)):
                return 0.0
        if state.next_attempt_at is not None and state.next_attempt_at > utcnow():
            return WEBHOOK_PAUSE_SECONDS
        missed_to = _missed_to(state, found)
        if missed_to is not None:
            self._miss(missed_to)
            return 0.0
        return self._send(found.events, sessions, state.failures)

    def _send(self, events: list[SessionEvent], sessions: dict[int, StoredSession], failures: int) -> float:
        """Send events in order until one fails."""
        skipped: SessionEvent | None = None
        for event in events:
            if not self._is_wanted(event):
                skipped = event
                continue
            if self.is_stopping() or not self._holds_lease_for_a_call():
                break
            if not self._attempt(event, sessions.get(event.session_id), failures):
                return 0.0
            failures, skipped = 0, None
        if skipped is not None:
            with transaction(writes=True):
                webhook_queries.mark_skipped(self.endpoint.name, self.holder, _position(skipped))
        return 0.0 if len(events) == WEBHOOK_BATCH else WEBHOOK_PAUSE_SECONDS

    def _is_wanted(self, event: SessionEvent) -> bool:
        """Return whether the endpoint gets this event. An erased user's is nobody's business any more."""
        return f"session.{event.what}" in self.endpoint.events and event.user_id is not None

    def _attempt(self, event: SessionEvent, session: StoredSession | None, failures: int) -> bool:
        """Send one event and record the outcome; return whether the next event may be sent."""
        error, is_final = self._call(event, session)
        if error is not None:
            return self._fail(event, FailedAttempt(failures + 1, error, utcnow()), is_final=is_final)
        self.counts.delivered += 1
        name, asked_at = self.endpoint.name, monotonic()
        with transaction(writes=True):
            is_held = webhook_queries.mark_delivered(name, self.holder, _position(event), self._lease_seconds, utcnow())
        self._leased_at = asked_at
        return is_held

    def _fail(self, event: SessionEvent, attempt: FailedAttempt, *, is_final: bool) -> bool:
        """Record a failed attempt, the last one or not; return whether the next event may be sent."""
        name, pauses = self.endpoint.name, self.endpoint.retry_seconds
        again_at = None if is_final else next_attempt(attempt.number, pauses, attempt.at, random())  # noqa: S311
        with transaction(writes=True):
            if again_at is None:
                is_held = parked_queries.park(name, self.holder, event, attempt)
            else:
                is_held = webhook_queries.mark_failed(name, self.holder, attempt, again_at)
        self.counts.failed += 1
        details = {"endpoint": name, "event_id": event.id, "error": attempt.error, "attempts": attempt.number}
        if again_at is not None:
            _log.warning("webhook_failed", extra={**details, "next_attempt_at": again_at})
            return False
        self.counts.parked += is_held
        _log.error("webhook_parked", extra=details)
        return is_held

    def _repeat(self, event: SessionEvent, session: StoredSession | None) -> bool:
        """Send a parked event once more; return whether the lease is held."""
        if not self._is_wanted(event):
            with transaction(writes=True):
                parked_queries.forget_parked(self.endpoint.name, event.id)
            return True
        if self.is_stopping() or not self._holds_lease_for_a_call():
            return False
        error, _ = self._call(event, session)
        with transaction(writes=True):
            if error is None:
                parked_queries.mark_due_delivered(self.endpoint.name, event.id)
            else:
                parked_queries.mark_due_failed(self.endpoint.name, event.id, error)
        self.counts.delivered += error is None
        self.counts.failed += error is not None
        return True

    def _call(self, event: SessionEvent, session: StoredSession | None) -> tuple[str | None, bool]:
        """Send one event; return what went wrong, if anything did, and whether another attempt is of no use."""
        now, to = utcnow(), self.endpoint
        body = body_of(event, session, self.settings, now)
        headers = headers_of(event, body, to.secrets, now)
        try:
            status = post(to.url, body, headers, seconds=to.timeout_seconds, allow_private=to.allow_private)
        except CallFailed as error:
            return str(error), False
        return (None if 200 <= status < 300 else f"status {status}"), status == GONE

    def _miss(self, position: Position) -> None:
        with transaction(writes=True):
            if webhook_queries.mark_missed(self.endpoint.name, self.holder, position):
                _log.error("webhook_events_missed", extra={"endpoint": self.endpoint.name})


def _position(event: SessionEvent) -> Position:
    return event.xact, event.id


def _missed_to(state: EndpointState, found: EventsRead) -> Position | None:
    """Return where to go on if the purge has deleted events after this position; None if it has not.

    A position beyond all events is of another database: of a backup that was restored into this one.
    """
    position = (state.xact, state.event_id)
    if position > found.last_possible:
        return found.next_position
    if position < found.purged and not (found.events and _position(found.events[0]) < found.purged):
        return found.purged
    return None
