"""The state of the service, for load balancers and operators. No credentials, no secrets."""

from collections.abc import Iterator

from flask import Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from session_service import errors, metrics
from session_service.components import components
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable, NotReady
from session_service.limits import READINESS_DATABASE_SECONDS
from session_service.services import purge
from session_service.services.readiness import what_is_missing
from session_service.views.parsing import StrictBlueprint
from session_service.views.problems import documented
from session_service.views.schemas import Health, Readiness

bp = StrictBlueprint("ops", __name__, description="How the service is.")


@bp.get("/healthz")
@bp.response(200, Health(), example={"status": "ok"})
@bp.doc(security=[], responses=documented(errors.InternalError))
def healthz() -> dict[str, str]:
    """Say that the process answers, whatever state the database is in."""
    return {"status": "ok"}


@bp.get("/readyz")
@bp.response(200, Readiness(), example={"status": "ready", "directory": "answers"})
@bp.doc(security=[], responses=documented(errors.NotReady, errors.InternalError))
def readyz() -> dict[str, str]:
    """Say whether requests can be served: the database answers, its schema is not outdated, and there is a key.

    How the auth server answers as a user directory is reported, but decides nothing.
    """
    missing = what_is_missing(components().tokens.keys)
    directory = components().user_directory.state
    if missing:
        raise NotReady("The service is not ready: " + "; ".join(missing) + ".", missing=missing, directory=directory)
    return {"status": "ready", "directory": directory}


@bp.get("/metrics")
@bp.response(200, content_type="text/plain", description="Prometheus' text format, version 0.0.4.")
@bp.doc(security=[], responses=documented(errors.InternalError))
def show_metrics() -> Response:
    """Show the metrics of all workers of this server, for Prometheus.

    The purge's totals are read from the database, and left out while it does not answer.
    """
    return Response(metrics.exposition(_purge_runs()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _purge_runs() -> Iterator[Metric]:
    try:
        with at_most(READINESS_DATABASE_SECONDS):
            done = purge.runs()
    except DatabaseUnavailable:
        return
    yield CounterMetricFamily("session_service_purge_runs", "Runs of the purge that came to their end.", done.runs)
    purged = CounterMetricFamily("session_service_purged", "What the purge has done.", labels=["what"])
    for what in ("recorded", "removed", "forgotten"):
        purged.add_metric([what], getattr(done, what))
    yield purged
    if done.last_run_at:
        yield GaugeMetricFamily(
            "session_service_purge_last_run_timestamp_seconds",
            "When the purge last came to its end.",
            done.last_run_at.timestamp(),
        )
