"""What is counted and measured, for Prometheus. No label holds a user, a session, or anything else that a client chose.

Each worker writes into files of its own under `PROMETHEUS_MULTIPROC_DIR`, which `gunicorn.conf.py` names before this
is imported; whichever worker is asked adds them up. What a worker counted stays when it ends.
"""

import os
from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from session_service.errors import SessionEnded, SessionLimitReached, SignInRateExceeded
from session_service.records import EndReason, LimitPolicy

_own = CollectorRegistry()
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def _counter(name: str, text: str, label: str | None = None, values: Iterable[str] = ()) -> Counter:
    """Return a counter; with *values* of its label that begin at nought, for a rate knows no first step."""
    counter = Counter(name, text, [label] if label else [], namespace="session_service", registry=_own)
    for value in values:
        counter.labels(value)
    return counter


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(name, text, labels, namespace="session_service", registry=_own, buckets=_SECONDS)


def _gauge(name: str, text: str, *labels: str, over_workers: str) -> Gauge:
    return Gauge(  # the type of the mode is a long list of literals
        name,
        text,
        labels,
        namespace="session_service",
        registry=_own,
        multiprocess_mode=over_workers,  # type: ignore[arg-type]
    )


requests = _histogram("request_seconds", "Requests, and how long they took.", "route", "method", "status")
unreadable_requests = _counter("unreadable_requests", "What arrived and was no HTTP.")

sign_ins = _counter(
    "sign_ins",
    "Sessions that were opened, or refused with a code.",
    "outcome",
    ("created", "adopted", SessionEnded.code, SessionLimitReached.code, SignInRateExceeded.code),
)
sessions_ended = _counter("sessions_ended", "Ends that were put on record.", "reason", get_args(EndReason))
limit_hits = _counter(
    "limit_hits", "Sign-ins for which somebody had to give way, or would have had to.", "policy", get_args(LimitPolicy)
)
validations = _counter("validations", "Answers to `validate`: yes, or the code of the error.", "outcome")
tokens_refused = _counter(
    "tokens_refused",
    "Access tokens that proved nothing.",
    "reason",
    ("missing", "malformed", "signature", "algorithm", "expired", "not_yet_valid", "claims"),
)

database_wait = _histogram("database_wait_seconds", "How long a transaction waited for a connection.")
database_transactions = _histogram("database_transaction_seconds", "How long transactions took, the wait included.")
database_refusals = _counter(
    "database_refusals",
    "Transactions that the database did not answer.",
    "reason",
    ("no_connection", "unavailable"),
)
connections_in_use = _gauge("database_connections_in_use", "Connections in use.", over_workers="livesum")
connections_max = _gauge("database_connections_max", "Connections that there may be.", over_workers="livesum")

keys_fetched = _gauge(
    "keys_fetched_timestamp_seconds",
    "When the key set was last fetched, by the worker that is behind the others; or when that one began to try.",
    "source",
    over_workers="livemin",
)
key_fetches = _counter("key_fetches", "Calls of the key set.", "outcome", ("good", "failed"))
auth_server_calls = _counter(
    "auth_server_calls", "Calls of the auth server.", "outcome", ("answered", "failed", "refused")
)

info = _gauge("info", "Which release this is.", "version", over_workers="livemax")


def exposition(more: Iterable[Metric]) -> bytes:
    """Return all of it, and *more*, in Prometheus' text format."""
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
