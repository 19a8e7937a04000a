"""What a FastAPI backend needs to ask the session service: a client, a guard for its routes, `/sessions/*` sent on.

Copy it as it is; `fastapi_backend.py` shows its use. Settings: SESSION_SERVICE_URL, SESSION_SERVICE_CREDENTIALS
(name:secret, only for ending sessions), BEHIND_GATEWAY (true where every call comes through a proxy that appends the
caller's address to X-Forwarded-For).
"""

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Annotated, Any, cast
from urllib.parse import quote

import httpx
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response

BEHIND_GATEWAY = os.environ.get("BEHIND_GATEWAY", "false") == "true"
READABLE = ["Location", "Retry-After", "X-Request-ID", "X-Session-Code"]
"""What a page of another origin wants to read of an answer."""
PASSED_ON = ["Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "X-Session-Id", "X-User-Id", *READABLE]

DEADLINE_SECONDS = 3.0
"""For a whole call, with a second try and the wait for a connection; the service gives up on its database after 2."""

# httpx logs whole URLs at INFO, and old frontends put tokens into queries.
logging.getLogger("httpx").setLevel(logging.WARNING)

http = httpx.AsyncClient(
    base_url=os.environ["SESSION_SERVICE_URL"],
    timeout=httpx.Timeout(DEADLINE_SECONDS, connect=1.0),
    # An idle connection is given up before the service closes it, after 5 seconds.
    limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0),
    trust_env=False,  # no proxy of the environment's stands between us and the service
)
del http.headers["User-Agent"]  # a caller who sends none must not look like httpx


class Unavailable(Exception):
    """The service says neither yes nor no."""


class Refused(Exception):
    """The service said no, and why: its answer is for the caller."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Session:
    """Whom a request is from. There is no id where `UNKNOWN_SESSION_POLICY` is `allow`, or nobody could be asked."""

    user_id: int
    id: int | None


async def call(method: str, path: str, **sent: Any) -> httpx.Response:
    """Call the service and return its answer, whatever that is.

    Raises:
        Unavailable: none came in time.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            try:
                return await http.request(method, path, **sent)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                if method != "GET":
                    raise
                return await http.request(method, path, **sent)  # the service may just have closed that connection
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unavailable from error


def caller_headers(request: Request, token: str | None = None) -> dict[bytes, bytes]:
    """Return what the service must know of a caller: the token (or another one), the device, where it is."""
    headers = {name: value for name, value in request.headers.raw if name in {b"authorization", b"user-agent"}}
    if token is not None:
        headers[b"authorization"] = f"Bearer {token}".encode()
    # What the gateway wrote, with nothing appended: so it reads the same as where the gateway calls the service itself.
    came = ", ".join(request.headers.getlist("X-Forwarded-For"))
    peer = request.client.host if request.client else ""
    return {**headers, b"x-forwarded-for": (came if BEHIND_GATEWAY else peer).encode("latin-1")}


async def ask(request: Request, token: str | None = None) -> Session:
    """Return the session of the caller's token (or of another one on that device), if it is alive; never cached.

    Raises:
        Refused: it is not, or the token is no good.
        Unavailable: nobody can say.
    """
    answer = await call("GET", "/sessions/validate", headers=caller_headers(request, token))
    if answer.status_code == 401:
        raise Refused(answer)
    if answer.status_code != 200:
        raise Unavailable
    said = answer.json()
    return Session(said["user_id"], said["session_id"])


async def current_session(request: Request) -> Session:
    """Let nobody pass whose session has ended; while nobody can say whether it has, nobody at all: 503."""
    return await ask(request)


CurrentSession = Annotated[Session, Depends(current_session)]


async def end_sessions(user_id: int) -> None:
    """Sign a user out everywhere, as a service; repeating it does no harm.

    Raises:
        Unavailable: it is not known to be done.
    """
    name, _, secret = os.environ["SESSION_SERVICE_CREDENTIALS"].partition(":")
    answer = await call("DELETE", f"/sessions/user/{user_id}", auth=(name, secret))
    if answer.status_code != 200:
        raise Unavailable


router = APIRouter()


@router.api_route("/sessions/{path:path}", methods=["GET", "HEAD", "POST", "DELETE"])
async def forward(path: str, request: Request) -> Response:
    """Send a call on as it is, and its answer back. CORS headers are the backend's own, on these routes too."""
    if {".", ".."} & set(path.split("/")):
        raise HTTPException(404, "Not found")  # the client would resolve them and leave /sessions/
    framing = (b"content-type", b"content-length", b"transfer-encoding") if request.method == "POST" else ()
    of_body = {name: value for name, value in request.headers.raw if name in framing}
    body = request.stream() if of_body.keys() - {b"content-type"} else None
    url = f"/sessions/{quote(path)}?{request.url.query}"
    return _passed_on(await call(request.method, url, headers={**caller_headers(request), **of_body}, content=body))


def _passed_on(answer: httpx.Response) -> Response:
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    return Response(answer.content, answer.status_code, headers)


async def _answer_refused(_request: Request, error: Exception) -> Response:
    return _passed_on(cast(Refused, error).answer)


async def _answer_unavailable(_request: Request, _error: Exception) -> Response:
    problem = '{"title": "Service Unavailable", "status": 503, "detail": "Try again in a moment."}'
    return Response(problem, 503, {"Retry-After": "1"}, "application/problem+json")


def add_sessions(app: FastAPI) -> None:
    """Give *app* `/sessions/*` and the answers to what `ask` raises."""
    app.include_router(router)
    app.add_exception_handler(Refused, _answer_refused)
    app.add_exception_handler(Unavailable, _answer_unavailable)
