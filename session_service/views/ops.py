"""The state of the service, for load balancers and operators. Requires no credentials and shows no secrets."""

from collections.abc import Iterator
from typing import Any, get_args

from flask import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from session_service import errors, metrics
from session_service.clock import utcnow
from session_service.components import components
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable, NotReady
from session_service.limits import READINESS_DATABASE_SECONDS
from session_service.records import EndReason
from session_service.services import purge
from session_service.services.feed import behind_seconds
from session_service.services.readiness import readiness
from session_service.views.parsing import StrictBlueprint
from session_service.views.problems import documented
from session_service.views.request_hooks import logs_failures_only
from session_service.views.schemas import Health, Readiness
from session_service.webhooks.status import metrics_of, statuses

bp = StrictBlueprint("ops", __name__, description="The state of the service.")


@bp.get("/healthz")
@bp.response(200, Health(), example={"status": "ok"})
@bp.doc(operationId="getHealth", security=[], responses=documented(errors.InternalError))
@logs_failures_only
def healthz() -> dict[str, str]:
    """Return 200 while the process answers, whatever the state of the database."""
    return {"status": "ok"}


@bp.get("/readyz")
@bp.response(200, Readiness(), example={"status": "ready", "directory": "answers", "warnings": []})
@bp.doc(operationId="getReadiness", security=[], responses=documented(errors.NotReady, errors.InternalError))
@logs_failures_only
def readyz() -> dict[str, object]:
    """Return whether requests can be served: the database answers, its schema is new enough, and a key is loaded.

    503 also while the service is about to stop. `directory` (how the auth server last answered as a user directory)
    and `warnings` are for operators and do not affect the status.
    """
    built = components()
    state = readiness(built.tokens.keys, built.settings, now=utcnow())
    details: dict[str, Any] = {"directory": built.user_directory.state, "warnings": state.warnings}
    if state.missing:
        words = "The service is not ready: " + "; ".join(state.missing) + "."
        raise NotReady(words, missing=state.missing, **details)
    return {"status": "ready", **details}


@bp.get("/metrics")
@bp.response(200, content_type="text/plain", description="Prometheus' text format, version 0.0.4.")
@bp.doc(operationId="getMetrics", security=[], responses=documented(errors.InternalError))
def show_metrics() -> Response:
    """Return the metrics of all workers of this server, for Prometheus.

    The counts of commands and the state of the feed and of webhooks are read from the database, and are omitted while
    it does not answer.
    """
    return Response(metrics.exposition(_read_from_database()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _read_from_database() -> Iterator[Metric]:
    """Yield how far feed and webhooks are behind, and the counts of commands: nothing scrapes their processes."""
    try:
        with at_most(READINESS_DATABASE_SECONDS):
            done, ends = purge.totals()
            behind = behind_seconds(utcnow())
            endpoints = statuses(utcnow())
    except DatabaseUnavailable:
        return
    yield GaugeMetricFamily(
        "session_service_feed_behind_seconds",
        "How long the oldest committed event waits for a transaction under way, before the feed can show it.",
        behind,
    )
    ended = CounterMetricFamily(
        "session_service_command_sessions_ended", "Sessions that commands ended.", labels=["reason"]
    )
    for reason in get_args(EndReason):
        ended.add_metric([reason], ends.get(reason, 0))
    yield ended
    yield CounterMetricFamily("session_service_purge_runs", "Complete runs of the purge.", done.runs)
    purged = CounterMetricFamily(
        "session_service_purged",
        "Ends that the purge recorded, and sessions and tokens that it deleted.",
        labels=["what"],
    )
    for what in ("ends", "sessions", "tokens"):
        purged.add_metric([what], getattr(done, what))
    yield purged
    if done.last_run_at:
        yield GaugeMetricFamily(
            "session_service_purge_last_run_timestamp_seconds",
            "When the purge was last completed.",
            done.last_run_at.timestamp(),
        )
    yield from metrics_of(endpoints)
