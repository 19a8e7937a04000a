"""The session service in a FastAPI backend: a client, a guard for routes, and a proxy for `/sessions/*`.

Copy this file unchanged; `fastapi_backend.py` uses it. Environment: SESSION_SERVICE_URL; SESSION_SERVICE_CREDENTIALS
(name:secret, only needed to end sessions); BEHIND_GATEWAY (true if every call comes through a proxy that appends the
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
"""Headers of an answer that pages of other origins may read."""
PASSED_ON = ["Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "X-Session-Id", "X-User-Id", *READABLE]

DEADLINE_SECONDS = 3.0
"""For a whole call, including a second try and the connection. The service waits 2.5 for its database."""

# httpx logs whole URLs at INFO, and old frontends put tokens into query strings.
logging.getLogger("httpx").setLevel(logging.WARNING)

http = httpx.AsyncClient(
    base_url=os.environ["SESSION_SERVICE_URL"],
    timeout=httpx.Timeout(DEADLINE_SECONDS, connect=1.0),
    # Shorter than the 5 seconds after which the service closes an idle connection.
    limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0),
    trust_env=False,  # ignore HTTP_PROXY: the service is reached directly
)
del http.headers["User-Agent"]  # a caller without one must not appear as httpx


class Unavailable(Exception):
    """The service did not say whether the session is active."""


class Refused(Exception):
    """The service refused; its answer has the reason and goes to the caller."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer


@dataclass(frozen=True)
class Session:
    """The user and the session of a request; `id` is None under `UNKNOWN_SESSION_POLICY=allow` and in an outage."""

    user_id: int
    id: int | None


async def call(method: str, path: str, **sent: Any) -> httpx.Response:
    """Call the service and return its answer, of any status.

    Raises:
        Unavailable: no answer in time.
    """
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            try:
                return await http.request(method, path, **sent)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                if method != "GET":
                    raise
                return await http.request(method, path, **sent)  # the service may just have closed this connection
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unavailable from error


def caller_headers(request: Request, token: str | None = None) -> dict[bytes, bytes]:
    """Return the headers that describe the caller: token (or *token* instead), device, address."""
    headers = {name: value for name, value in request.headers.raw if name in {b"authorization", b"user-agent"}}
    if token is not None:
        headers[b"authorization"] = f"Bearer {token}".encode()
    # Append nothing to the gateway's header: the service must read the same address when the gateway calls it directly.
    came = ", ".join(request.headers.getlist("X-Forwarded-For"))
    peer = request.client.host if request.client else ""
    return {**headers, b"x-forwarded-for": (came if BEHIND_GATEWAY else peer).encode("latin-1")}


async def ask(request: Request, token: str | None = None) -> Session:
    """Return the active session of the caller's token, or of *token* on the same device; never cached.

    Raises:
        Refused: the session has ended, or the token is not valid.
        Unavailable: no usable answer.
    """
    answer = await call("GET", "/sessions/validate", headers=caller_headers(request, token))
    if answer.status_code == 401:
        raise Refused(answer)
    if answer.status_code != 200:
        raise Unavailable
    said = answer.json()
    return Session(said["user_id"], said["session_id"])


async def current_session(request: Request) -> Session:
    """Require an active session: 401 without one, 503 while the service is unavailable."""
    return await ask(request)


CurrentSession = Annotated[Session, Depends(current_session)]


async def end_sessions(user_id: int) -> None:
    """End all sessions of a user, with the service's credentials; it can be repeated.

    Raises:
        Unavailable: the sessions may or may not have ended.
    """
    name, _, secret = os.environ["SESSION_SERVICE_CREDENTIALS"].partition(":")
    answer = await call("DELETE", f"/sessions/user/{user_id}", auth=(name, secret))
    if answer.status_code != 200:
        raise Unavailable


router = APIRouter()


@router.api_route("/sessions/{path:path}", methods=["GET", "HEAD", "POST", "DELETE"])
async def forward(path: str, request: Request) -> Response:
    """Forward a call and its answer unchanged, except for CORS headers: the backend sets its own."""
    if {".", ".."} & set(path.split("/")):
        raise HTTPException(404, "Not found")  # the HTTP client would resolve them to a path outside /sessions/
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
    """Add `/sessions/*` to *app*, and the answers to `Refused` and `Unavailable`."""
    app.include_router(router)
    app.add_exception_handler(Refused, _answer_refused)
    app.add_exception_handler(Unavailable, _answer_unavailable)
