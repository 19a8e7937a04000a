"""What happens around every request: its id, deadline, headers, log line and metrics."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from flask import Flask, Response, current_app, g, request

from session_service import deadline, metrics, observed, request_id
from session_service.limits import REQUEST_SECONDS

VALIDATE = "validation.validate"
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
"""Any other method is counted as `other`: each value of a label is kept for good."""

BEGAN_AT = "session_service.began_at"
"""The key in a WSGI environment of when the request began, by the monotonic clock, if something ran before Flask."""

FAILED = "session_service.failed"
"""The key of a `Failure` there: Flask only answers it."""

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer; `X-Request-ID` follows them. Only files of the pages may be cached."""


class Failure(NamedTuple):
    """How a request ended in front of Flask."""

    error: Exception
    user_id: str | None


View = TypeVar("View", bound=Callable[..., object])

_log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Run these hooks around the requests of *app*."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(lambda _error: end())


def begin(given_id: str | None, began_at: float) -> str:
    """Set the deadline and the id of the request that this thread serves from now on; return the id."""
    deadline.start(REQUEST_SECONDS, began_at)
    chosen = request_id.choose(given_id)
    request_id.current.set(chosen)
    return chosen


def end() -> None:
    """Clear what `begin` set."""
    deadline.clear()
    request_id.current.set(None)
    observed.current.set(observed.NOTHING)


def logs_failures_only(view: View) -> View:
    """Declare that successful answers of *view* are not logged: health probes come every few seconds."""
    view.logs_failures_only = True  # type: ignore[attr-defined]
    return view


def report(route: str, method: str, status: int, seconds: float, *, logs: bool = True, **fields: object) -> None:
    """Count a request and, with *logs*, log it: without its path, its query and its content."""
    metrics.of(metrics.requests, route, method, str(status)).observe(seconds)
    if logs:
        line = {"method": method, "route": route, "status": status, "duration_ms": round(seconds * 1_000, 3), **fields}
        _log.info("request", extra={"fields": line})


def _begin() -> Response | None:
    g.began_at = request.environ.get(BEGAN_AT) or monotonic()
    g.request_id = begin(request.headers.get("X-Request-ID"), g.began_at)
    failed: Failure | None = request.environ.get(FAILED)
    if failed:
        g.user_id = failed.user_id
        raise failed.error
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        # For unknown paths, too: a page may only read a 404 if the preflight before it succeeded.
        return Response()
    return None


def _finish(response: Response) -> Response:
    response.headers.update(HEADERS)
    if "cache_control" in g:  # a file of the pages, which is the same for everyone
        response.headers["Cache-Control"] = g.cache_control
    response.headers["X-Request-ID"] = g.request_id
    response.headers.update(_observed())
    _report(response)
    return response


def _observed() -> dict[str, str]:
    """Return the headers that say what an enforcing service would have done."""
    seen = observed.current.get()
    of_refusal = {"X-Session-Would-Refuse": seen.code} if seen.code else {}
    return of_refusal | ({"X-Session-Would-Evict": str(seen.evictions)} if seen.evictions else {})


def _report(response: Response) -> None:
    rule, endpoint, method = request.url_rule, request.endpoint, request.method
    code, caller = g.get("error_code"), g.get("caller")
    if endpoint == VALIDATE and method != "OPTIONS":
        alive = "active" if "X-Session-Id" in response.headers else "without_session"
        metrics.validations.labels(code or alive).inc()
    fields: dict[str, Any] = {"user_id": g.get("user_id"), "session_id": caller.current_id if caller else None}
    if code is not None:
        fields["code"] = code
    if "token_refused" in g:
        fields["token_refused"] = g.token_refused
    is_quiet = hasattr(current_app.view_functions.get(endpoint or ""), "logs_failures_only")
    report(
        rule.rule if rule else "none",
        method if method in METHODS else "other",
        response.status_code,
        monotonic() - g.began_at,
        logs=response.status_code >= 400 or not is_quiet,
        **fields,
    )
