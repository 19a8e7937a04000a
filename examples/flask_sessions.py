"""Everything that a Flask backend needs for the session service: client, guard, and forwarding of `/sessions/*`.

Copy this file unchanged; `flask_backend.py` shows its use. Settings: SESSION_SERVICE_URL, SESSION_SERVICE_CREDENTIALS
(name:secret, only for ending sessions), BEHIND_GATEWAY (true if every call comes through a proxy that appends the
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
"""Bytes of a body that are forwarded. More than the service accepts, so that the service refuses a larger one."""

P = ParamSpec("P")
R = TypeVar("R")

# As many connections as the process has threads. urllib3's retries are off: they would repeat slow calls, too.
http = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(connect=1.0, read=3.0))


class Unavailable(Exception):
    """The service has neither accepted nor refused the call."""


class Refused(Exception):
    """The service has refused the call. Its answer, with the reason, is for the caller."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Session:
    """A request's user and session. `id` is None if the service accepted a token without one, or is unavailable."""

    user_id: int
    id: int | None


def call(method: str, path: str, **sent: Any) -> urllib3.BaseHTTPResponse:
    """Call the service and return its answer, whatever its status.

    Raises:
        Unavailable: no connection within 1 second, or no data received for 3 seconds.
    """
    url = f"{SERVICE}{path}"
    try:
        try:
            return http.request(method, url, redirect=False, **sent)
        except urllib3.exceptions.ProtocolError:
            if method != "GET":
                raise
            return http.request(method, url, redirect=False, **sent)  # the service may just have closed that connection
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable from error


def caller_headers(token: str | None = None) -> dict[str, str]:
    """Return the headers that describe the caller: token (the caller's, or *token*), user agent and address."""
    authorization = request.headers.get("Authorization") if token is None else f"Bearer {token}"
    # The gateway's list unchanged, so that the service sees the same list as if the gateway called it directly.
    came = ", ".join(request.headers.getlist("X-Forwarded-For"))
    return {
        **({} if authorization is None else {"Authorization": authorization}),
        # Without this, a caller that sends no user agent would appear as urllib3.
        "User-Agent": request.headers.get("User-Agent", urllib3.util.SKIP_HEADER),
        "X-Forwarded-For": came if BEHIND_GATEWAY else request.remote_addr or "",
    }


def ask(token: str | None = None) -> Session:
    """Return the active session of the caller's token, or of *token* on the caller's device. Never cached.

    Raises:
        Refused: the session has ended, or the token is not valid.
        Unavailable: the service gave no usable answer.
    """
    answer = call("GET", "/sessions/validate", headers=caller_headers(token))
    if answer.status == 401:
        raise Refused(answer)
    if answer.status != 200:
        raise Unavailable
    said = answer.json()
    return Session(said["user_id"], said["session_id"])


def session_required(view: Callable[P, R]) -> Callable[P, R]:
    """Refuse a caller whose session has ended. While the service is unavailable, refuse all callers with 503."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        g.session = ask()
        return view(*args, **kwargs)

    return guarded


def current_session() -> Session:
    """Return the session that the guard has found."""
    return cast(Session, g.session)


def end_sessions(user_id: int) -> None:
    """End all sessions of a user, as a service. It may be repeated.

    Raises:
        Unavailable: it is unknown whether they have ended.
    """
    credentials = urllib3.make_headers(basic_auth=os.environ["SESSION_SERVICE_CREDENTIALS"])
    if call("DELETE", f"/sessions/user/{user_id}", headers=credentials).status != 200:
        raise Unavailable


bp = Blueprint("sessions", __name__)


@bp.route("/sessions/<path:path>", methods=["GET", "POST", "DELETE"])
def forward(path: str) -> Response:
    """Forward a call unchanged, and return its answer. The backend adds its own CORS headers, as on other routes."""
    if {".", ".."} & set(path.split("/")):
        abort(404)  # the HTTP client would resolve them and leave /sessions/
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
    """Add `/sessions/*` to *app*, and the answers to the errors that `ask` raises."""
    app.register_blueprint(bp)
    app.register_error_handler(Refused, lambda error: _passed_on(error.answer))
    app.register_error_handler(Unavailable, _answer_unavailable)
