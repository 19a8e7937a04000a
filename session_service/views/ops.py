"""How the service is: for load balancers and whoever is on call. No credentials, no secrets."""

from collections.abc import Iterator

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from session_service import errors, metrics, purge
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable, NotReady
from session_service.readiness import SECONDS_FOR_THE_DATABASE, what_is_missing
from session_service.session_schema import Health, Readiness
from session_service.views.parsing import StrictBlueprint
from session_service.views.problems import documented

bp = StrictBlueprint("ops", __name__, description="How the service is.")


@bp.get("/healthz")
@bp.response(200, Health(), example={"status": "ok"})
@bp.doc(security=[], responses=documented(errors.InternalError))
def healthz() -> dict[str, str]:
    """Say that the process answers, whatever the database does."""
    return {"status": "ok"}


@bp.get("/readyz")
@bp.response(200, Readiness(), example={"status": "ready", "directory": "answers"})
@bp.doc(security=[], responses=documented(errors.NotReady, errors.InternalError))
def readyz() -> dict[str, str]:
    """Say whether requests can be served: the database answers, its schema is not behind, and there is a key.

    How the auth server answers as a directory of users is reported, and decides nothing.
    """
    missing = what_is_missing(current_app.extensions["token_verifier"].keys)
    directory = current_app.extensions["user_directory"].state
    if missing:
        raise NotReady("The service is not ready: " + "; ".join(missing) + ".", missing=missing, directory=directory)
    return {"status": "ready", "directory": directory}


@bp.get("/metrics")
@bp.response(200, content_type="text/plain", description="Prometheus' text format, version 0.0.4.")
@bp.doc(security=[], responses=documented(errors.InternalError))
def show_metrics() -> Response:
    """Show what was counted and measured, by all workers of this server, for Prometheus.

    What the purge has done is read from the database, and left out while that does not answer.
    """
    return Response(metrics.exposition(_purge_runs()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _purge_runs() -> Iterator[Metric]:
    try:
        with at_most(SECONDS_FOR_THE_DATABASE):
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
