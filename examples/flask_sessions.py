"""What a Flask backend needs to ask the session service: a client, a guard for its routes, `/sessions/*` sent on.

Copy it as it is; `flask_backend.py` shows its use. Settings: SESSION_SERVICE_URL, SESSION_SERVICE_CREDENTIALS
(name:secret, only for ending sessions), BEHIND_GATEWAY (true where every call comes through a proxy that appends the
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
"""What a page of another origin wants to read of an answer."""
PASSED_ON = ["Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "X-Session-Id", "X-User-Id", *READABLE]
MOST_BYTES = 20_000
"""Of a body that is sent on: more than the service takes, so that refusing it is the service's part."""

P = ParamSpec("P")
R = TypeVar("R")

# As many connections as the process has threads; its own retries are off, for they would also repeat what was slow.
http = urllib3.PoolManager(maxsize=16, retries=False, timeout=urllib3.Timeout(connect=1.0, read=3.0))


class Unavailable(Exception):
    """The service says neither yes nor no."""


class Refused(Exception):
    """The service said no, and why: its answer is for the caller."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Session:
    """Whom a request is from. There is no id where `UNKNOWN_SESSION_POLICY` is `allow`, or nobody could be asked."""

    user_id: int
    id: int | None


def call(method: str, path: str, **sent: Any) -> urllib3.BaseHTTPResponse:
    """Call the service and return its answer, whatever that is.

    Raises:
        Unavailable: none came in time: a second for the connection, three without any sign of an answer.
    """
    url = f"{SERVICE}{path}"
    try:
        try:
            return http.request(method, url, redirect=False, **sent)
        except urllib3.exceptions.ProtocolError:
            if method != "GET":
                raise
            return http.request(method, url, redirect=False, **sent)  # it may just have closed that connection
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable from error


def caller_headers(token: str | None = None) -> dict[str, str]:
    """Return what the service must know of the caller: the token (or another one), the device, where it is."""
    authorization = request.headers.get("Authorization") if token is None else f"Bearer {token}"
    # What the gateway wrote, with nothing appended: so it reads the same as where the gateway calls the service itself.
    came = ", ".join(request.headers.getlist("X-Forwarded-For"))
    return {
        **({} if authorization is None else {"Authorization": authorization}),
        # A caller who sends none must not look like urllib3.
        "User-Agent": request.headers.get("User-Agent", urllib3.util.SKIP_HEADER),
        "X-Forwarded-For": came if BEHIND_GATEWAY else request.remote_addr or "",
    }


def ask(token: str | None = None) -> Session:
    """Return the session of the caller's token (or of another one on that device), if it is alive; never cached.

    Raises:
        Refused: it is not, or the token is no good.
        Unavailable: nobody can say.
    """
    answer = call("GET", "/sessions/validate", headers=caller_headers(token))
    if answer.status == 401:
        raise Refused(answer)
    if answer.status != 200:
        raise Unavailable
    said = answer.json()
    return Session(said["user_id"], said["session_id"])


def session_required(view: Callable[P, R]) -> Callable[P, R]:
    """Let nobody pass whose session has ended; while nobody can say whether it has, nobody at all: 503."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        g.session = ask()
        return view(*args, **kwargs)

    return guarded


def current_session() -> Session:
    """Return what the guard found."""
    return cast(Session, g.session)


def end_sessions(user_id: int) -> None:
    """Sign a user out everywhere, as a service; repeating it does no harm.

    Raises:
        Unavailable: it is not known to be done.
    """
    credentials = urllib3.make_headers(basic_auth=os.environ["SESSION_SERVICE_CREDENTIALS"])
    if call("DELETE", f"/sessions/user/{user_id}", headers=credentials).status != 200:
        raise Unavailable


bp = Blueprint("sessions", __name__)


@bp.route("/sessions/<path:path>", methods=["GET", "POST", "DELETE"])
def forward(path: str) -> Response:
    """Send a call on as it is, and its answer back. CORS headers are the backend's own, on these routes too."""
    if {".", ".."} & set(path.split("/")):
        abort(404)  # the client would resolve them and leave /sessions/
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
    """Give *app* `/sessions/*` and the answers to what `ask` raises."""
    app.register_blueprint(bp)
    app.register_error_handler(Refused, lambda error: _passed_on(error.answer))
    app.register_error_handler(Unavailable, _answer_unavailable)
