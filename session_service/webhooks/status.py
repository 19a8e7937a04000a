"""How far each endpoint is behind, for operators and for `/metrics`; and what operators do about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from session_service.clock import seconds_since
from session_service.database import parked_queries, webhook_queries
from session_service.database.transaction import transaction
from session_service.database.webhook_queries import EndpointState


@dataclass(frozen=True)
class EndpointStatus:
    """The state of one endpoint at an instant."""

    state: EndpointState
    parked: int
    behind_seconds: float
    """How long the oldest event waits that has been neither sent nor passed over; 0 without one."""


def statuses(now: datetime) -> list[EndpointStatus]:
    """Return the status of every endpoint on record.

    Raises:
        DatabaseUnavailable: nothing is known.
    """
    with transaction():
        states, parked = webhook_queries.list_endpoints(), parked_queries.count_parked()
        oldest = [webhook_queries.oldest_unsent_at((state.xact, state.event_id)) for state in states]
    return [
        EndpointStatus(state, parked.get(state.name, 0), seconds_since(at, now))
        for state, at in zip(states, oldest, strict=True)
    ]


def metrics_of(found: Iterable[EndpointStatus]) -> Iterator[Metric]:
    """Yield the metrics of endpoints. Their names come from the operator's file."""
    behind = GaugeMetricFamily(
        "session_service_webhook_behind_seconds",
        "How long the oldest event waits to be sent to this endpoint.",
        labels=["endpoint"],
    )
    parked = GaugeMetricFamily(
        "session_service_webhook_parked", "Events that this endpoint did not take.", labels=["endpoint"]
    )
    deliveries = CounterMetricFamily(
        "session_service_webhook_deliveries",
        "Attempts by outcome, events that were parked, and how often the purge was ahead of an endpoint.",
        labels=["endpoint", "outcome"],
    )
    for one in found:
        state = one.state
        behind.add_metric([state.name], one.behind_seconds)
        parked.add_metric([state.name], one.parked)
        for outcome in ("delivered", "failed", "parked", "missed"):
            deliveries.add_metric([state.name, outcome], getattr(state, f"{outcome}_total"))
    yield from (behind, parked, deliveries)


def retry(name: str) -> int | None:
    """Ask for another attempt at the next event and at all parked ones; return how many are parked.

    Returns None if no such endpoint is on record.
    """
    with transaction(writes=True):
        if webhook_queries.get_endpoint(name) is None:
            return None
        webhook_queries.attempt_now(name)
        return parked_queries.mark_due(name)


def replay(names: Iterable[str], since: datetime) -> list[str]:
    """Let endpoints begin again with the first event that was recorded at or after *since*; return which were later."""
    with transaction(writes=True, takes_long=True):
        position = webhook_queries.position_before(since)
        return [] if position is None else [name for name in names if webhook_queries.move_back(name, position)]


def forget(name: str) -> bool:
    """Delete what is on record about an endpoint; return whether there was anything."""
    with transaction(writes=True):
        return webhook_queries.delete_endpoint(name)
