"""What happens around every request: its id, deadline, headers, log line and metrics."""

import logging
import re
from collections.abc import Callable
from time import monotonic
from typing import TypeVar
from uuid import uuid4

import structlog
from flask import Flask, Response, current_app, g, request

from session_service import deadline, metrics
from session_service.limits import REQUEST_SECONDS

VALIDATE = "validation.validate"
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
"""Any other method is counted as `other`: each value of a label is kept for good."""

View = TypeVar("View", bound=Callable[..., object])
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""No spaces, quotes or control characters: it is written into log lines and a header."""

_log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Run these hooks around the requests of *app*."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_end)


def _begin() -> Response | None:
    g.began_at = monotonic()
    g.request_id = request_id(request.headers.get("X-Request-ID"))
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    deadline.start(REQUEST_SECONDS)
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        # For unknown paths, too: a page may only read a 404 if the preflight before it succeeded.
        return Response()
    return None


def logs_failures_only(view: View) -> View:
    """Declare that successful answers of *view* are not logged: health probes come every few seconds."""
    view.logs_failures_only = True  # type: ignore[attr-defined]
    return view


def request_id(given: str | None) -> str:
    """Return the id of a request: *given* if it is safe to write everywhere, otherwise a new one."""
    return given if given and _SANE_REQUEST_ID.fullmatch(given) else uuid4().hex


def _finish(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-ID"] = g.request_id
    _report(response)
    return response


def _report(response: Response) -> None:
    """Log and count the request, without its path, its query and its content."""
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
    if code is not None:
        line["code"] = code
    if "token_refused" in g:
        line["token_refused"] = g.token_refused
    if response.status_code >= 400 or not hasattr(
        current_app.view_functions.get(request.endpoint or ""), "logs_failures_only"
    ):
        _log.info("request", extra=line)


def _end(_error: BaseException | None) -> None:
    deadline.clear()
    structlog.contextvars.unbind_contextvars("request_id")
