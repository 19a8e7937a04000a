"""The metrics for Prometheus. No label contains a user, a session, or any other value that a client chose.

Each worker writes to its own files in the folder `PROMETHEUS_MULTIPROC_DIR`, which `gunicorn.conf.py` sets before this
module is imported. The worker that answers `/metrics` adds up the files of all workers. The counts of a worker that has
ended remain.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from session_service.errors import SessionEnded, SessionLimitReached, SignInRateExceeded
from session_service.records import EndReason, LimitPolicy
from session_service.rules.observing import WouldRefuse

Labelled = TypeVar("Labelled", Counter, Histogram)

_own = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def _counter(name: str, text: str, label: str | None = None, values: Iterable[str] = ()) -> Counter:
    """Return a counter. Its label's *values* start at 0.

    Prometheus' `rate` does not see the first increase of a series that starts at 1.
    """
    counter = Counter(name, text, [label] if label else [], namespace="session_service", registry=_own)
    for value in values:
        counter.labels(value)
    return counter


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(name, text, labels, namespace="session_service", registry=_own, buckets=_SECONDS)


def _gauge(name: str, text: str, *labels: str, over_workers: str) -> Gauge:
    return Gauge(  # type of `multiprocess_mode`: a long list of literals
        name,
        text,
        labels,
        namespace="session_service",
        registry=_own,
        multiprocess_mode=over_workers,  # type: ignore[arg-type]
    )


requests = _histogram("request_seconds", "Duration of requests.", "route", "method", "status")
unreadable_requests = _counter("unreadable_requests", "Requests that were not valid HTTP.")

sign_ins = _counter(
    "sign_ins",
    "Sessions created, by sign-in or adoption, and sign-ins refused, by error code.",
    "outcome",
    ("created", "adopted", SessionEnded.code, SessionLimitReached.code, SignInRateExceeded.code),
)
sessions_ended = _counter("sessions_ended", "Recorded ends of sessions.", "reason", get_args(EndReason))
limit_hits = _counter(
    "limit_hits",
    "Sign-ins that exceeded the device limit: sessions were ended, or the sign-in was refused.",
    "policy",
    get_args(LimitPolicy),
)
would_refuse = _counter(
    "would_refuse",
    "With `SESSION_ENFORCEMENT=observe`: requests that `enforce` would have refused, by error code.",
    "code",
    get_args(WouldRefuse),
)
would_evict = _counter(
    "would_evict", "With `SESSION_ENFORCEMENT=observe`: sessions that the device limit would have ended."
)
validations = _counter(
    "validations", "Answers of `validate`: `active`, `without_session`, or the error code.", "outcome"
)
tokens_refused = _counter(
    "tokens_refused",
    "Access tokens that were refused.",
    "reason",
    ("missing", "malformed", "signature", "algorithm", "expired", "not_yet_valid", "claims"),
)

feed_polls = _counter("feed_polls", "Questions to the feed, by answer.", "outcome", ("complete", "incomplete", "gone"))
everywhere_waits = _counter(
    "everywhere_waits",
    "Ends with `everywhere`: waited for the lease, or answered at once because too many waited.",
    "outcome",
    ("waited", "refused"),
)

database_wait = _histogram("database_wait_seconds", "How long transactions waited that found no connection free.")
database_transactions = _histogram(
    "database_transaction_seconds", "Duration of transactions that write, connection wait included."
)
database_refusals = _counter(
    "database_refusals",
    "Transactions that failed: database unavailable, or no connection free.",
    "reason",
    ("no_connection", "unavailable"),
)
connections_in_use = _gauge("database_connections_in_use", "Database connections in use.", over_workers="livesum")
connections_max = _gauge("database_connections_max", "Maximum number of database connections.", over_workers="livesum")

keys_fetched = _gauge(
    "keys_fetched_timestamp_seconds",
    "When the key set was last fetched, or first requested if no fetch has succeeded; of all workers the earliest.",
    "source",
    over_workers="livemin",
)
key_fetches = _counter("key_fetches", "Fetches of the key set.", "outcome", ("good", "failed"))
auth_server_calls = _counter(
    "auth_server_calls", "Calls to the auth server.", "outcome", ("answered", "failed", "refused")
)

info = _gauge("info", "The running release.", "version", over_workers="livemax")


@cache
def of(metric: Labelled, *values: str) -> Labelled:
    """Return the part of *metric* for the *values* of its labels, as `labels` does, which takes a lock each time."""
    return metric.labels(*values)


def exposition(more: Iterable[Metric]) -> bytes:
    """Return all metrics of this server, and *more*, in Prometheus' text format."""
    registry = _own
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + generate_latest(_Given(more))


class _Given(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
