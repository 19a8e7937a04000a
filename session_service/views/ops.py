"""How the service is: for load balancers and whoever is on call. No credentials, no secrets."""

from flask import current_app

from session_service import errors
from session_service.errors import NotReady
from session_service.readiness import what_is_missing
from session_service.session_schema import Health
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
@bp.response(200, Health(), example={"status": "ready"})
@bp.doc(security=[], responses=documented(errors.NotReady, errors.InternalError))
def readyz() -> dict[str, str]:
    """Say whether requests can be served: the database answers, its schema is not behind, and there is a key."""
    missing = what_is_missing(current_app.extensions["token_verifier"].keys)
    if missing:
        raise NotReady("The service is not ready: " + "; ".join(missing) + ".", missing=missing)
    return {"status": "ready"}
