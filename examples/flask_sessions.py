"""The session service in a Flask backend: a client, a guard for routes, and a proxy for `/sessions/*`.

Copy this file unchanged; `flask_backend.py` uses it. Environment: SESSION_SERVICE_URL; SESSION_SERVICE_CREDENTIALS
(name:secret, only needed to end sessions); BEHIND_GATEWAY (true if every call comes through a proxy that appends the
caller's address to X-Forwarded-For).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

import urllib3
from flask import Blueprint, Flask, Response, abort, g, request

SERVICE = os.environ["SESSION_SERVICE_URL"]
BEHIND_GATEWAY = os.environ.get("BEHIND_GATEWAY", "false") == "true"
READABLE = ["Location", "Retry-After", "X-Request-ID", "X-Session-Code"]
"""Headers of an answer that pages of other origins may read."""
PASSED_ON = ["Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "X-Session-Id", "X-User-Id", *READABLE]
MOST_BYTES = 20_000
"""Of a forwarded body: more than the service accepts, so that the service itself refuses larger ones."""

P = ParamSpec("P")
R = TypeVar("R")

# At least one connection for each thread of the process. No retries by urllib3: they would repeat slow calls, too.
http = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(connect=1.0, read=3.0))


class Unavailable(Exception):
    """The service did not say whether the session is active."""


class Refused(Exception):
    """The service refused; its answer has the reason and goes to the caller."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Session:
    """The user and the session of a request; `id` is None under `UNKNOWN_SESSION_POLICY=allow` and in an outage."""

    user_id: int
    id: int | None


def call(method: str, path: str, **sent: Any) -> urllib3.BaseHTTPResponse:
    """Call the service and return its answer, of any status.

    Raises:
        Unavailable: no connection within 1 second, or no data within 3 seconds.
    """
    url = f"{SERVICE}{path}"
    try:
        try:
            return http.request(method, url, redirect=False, **sent)
        except urllib3.exceptions.ProtocolError:
            if method != "GET":
                raise
            return http.request(method, url, redirect=False, **sent)  # it may just have closed this connection
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable from error


def caller_headers(token: str | None = None) -> dict[str, str]:
    """Return the headers that describe the caller: token (or *token* instead), device, address."""
    authorization = request.headers.get("Authorization") if token is None else f"Bearer {token}"
    # Append nothing to the gateway's header: the service must read the same address when the gateway calls it directly.
    came = ", ".join(request.headers.getlist("X-Forwarded-For"))
    return {
        **({} if authorization is None else {"Authorization": authorization}),
        # A caller without one must not appear as urllib3.
        "User-Agent": request.headers.get("User-Agent", urllib3.util.SKIP_HEADER),
        "X-Forwarded-For": came if BEHIND_GATEWAY else request.remote_addr or "",
    }


def ask(token: str | None = None) -> Session:
    """Return the active session of the caller's token, or of *token* on the same device; never cached.

    Raises:
        Refused: the session has ended, or the token is not valid.
        Unavailable: no usable answer.
    """
    answer = call("GET", "/sessions/validate", headers=caller_headers(token))
    if answer.status == 401:
        raise Refused(answer)
    if answer.status != 200:
        raise Unavailable
    said = answer.json()
    return Session(said["user_id"], said["session_id"])


def session_required(view: Callable[P, R]) -> Callable[P, R]:
    """Require an active session for *view*: 401 without one, 503 while the service is unavailable."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        g.session = ask()
        return view(*args, **kwargs)

    return guarded


def current_session() -> Session:
    """Return the session that the guard found."""
    return cast(Session, g.session)


def end_sessions(user_id: int) -> None:
    """End all sessions of a user, with the service's credentials; it can be repeated.

    Raises:
        Unavailable: the sessions may or may not have ended.
    """
    credentials = urllib3.make_headers(basic_auth=os.environ["SESSION_SERVICE_CREDENTIALS"])
    if call("DELETE", f"/sessions/user/{user_id}", headers=credentials).status != 200:
        raise Unavailable


bp = Blueprint("sessions", __name__)


@bp.route("/sessions/<path:path>", methods=["GET", "POST", "DELETE"])
def forward(path: str) -> Response:
    """Forward a call and its answer unchanged, except for CORS headers: the backend sets its own."""
    if {".", ".."} & set(path.split("/")):
        abort(404)  # the HTTP client would resolve them to a path outside /sessions/
    headers, body = caller_headers(), None
    if request.method == "POST":
        headers["Content-Type"] = request.headers.get("Content-Type", "")
        body = request.stream.read(MOST_BYTES)
    url = f"/sessions/{quote(path)}?{request.query_string.decode('latin-1')}"
    return _passed_on(call(request.method, url, headers=headers, body=body))


def _passed_on(answer: urllib3.BaseHTTPResponse) -> Response:
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    return Response(answer.data, answer.status, headers)


def _answer_unavailable(_error: Unavailable) -> Response:
    problem = '{"title": "Service Unavailable", "status": 503, "detail": "Try again in a moment."}'
    return Response(problem, 503, {"Retry-After": "1"}, content_type="application/problem+json")


def add_sessions(app: Flask) -> None:
    """Add `/sessions/*` to *app*, and the answers to `Refused` and `Unavailable`."""
    app.register_blueprint(bp)
    app.register_error_handler(Refused, lambda error: _passed_on(error.answer))
    app.register_error_handler(Unavailable, _answer_unavailable)
