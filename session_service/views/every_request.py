"""What happens around every request, whatever it asks for: its id, deadline, headers, log line and count."""

import logging
from time import monotonic

import structlog
from flask import Flask, Response, g, request

from session_service import deadline, metrics
from session_service.logs import request_id

SECONDS = 2.5
"""How long a request may wait for the database, all in all."""

VALIDATE = "validation.validate"
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
"""Others that clients make up are counted as one: each label is a row for good."""

_log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Stand around the requests of *app*."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_end)


def _begin() -> Response | None:
    g.began_at = monotonic()
    g.request_id = request_id(request.headers.get("X-Request-ID"))
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    deadline.start(SECONDS)
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        # Whatever the path: a page may only read the 404 of a call whose preflight was not refused.
        return Response()
    return None


def _finish(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-ID"] = g.request_id
    _tell(response)
    return response


def _tell(response: Response) -> None:
    """Write the request's line, and count it; neither holds its path, its query, or what came with it."""
    seconds, rule = monotonic() - g.began_at, request.url_rule
    route = rule.rule if rule else "none"
    method = request.method
    method = method if method in METHODS else "other"
    code = g.get("error_code")
    metrics.requests.labels(route, method, str(response.status_code)).observe(seconds)
    if request.endpoint == VALIDATE and method != "OPTIONS":
        alive = "active" if "X-Session-Id" in response.headers else "without_session"
        metrics.validations.labels(code or alive).inc()
    caller = g.get("caller")
    line = {
        "method": method,
        "route": route,
        "status": response.status_code,
        "duration_ms": round(seconds * 1_000, 3),
        "user_id": g.get("user_id"),
        "session_id": caller.current_id if caller else None,
    }
    _log.info("request", extra=line if code is None else {**line, "code": code})


def _end(_error: BaseException | None) -> None:
    deadline.clear()
    structlog.contextvars.unbind_contextvars("request_id")
