"""Sessions in a FastAPI or Starlette application: a dependency for routes, the calls of a sign-in, `/sessions/*`.

    sessions = Sessions.from_environment()
    sessions.add_to(app)

    @app.get("/grades")
    async def grades(session: Annotated[ActiveSession, Depends(sessions.required)]):
        return {"user_id": session.user_id}

Only Starlette is imported. Run uvicorn with `--no-proxy-headers`: otherwise it takes the peer's address from a header
that the caller can set.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from session_client import calls
from session_client.answers import ActiveSession, Answer
from session_client.caller import Caller
from session_client.calls import Ended
from session_client.errors import Refused, ServiceUnavailable
from session_client.options import OnOutage
from session_client.tasks import AsyncSessionClient
from session_client.web import READING, caller_of_scope, hops_of

__all__ = ["ActiveSession", "Refused", "ServiceUnavailable", "Sessions"]


class Sessions:
    """The sessions of a FastAPI or Starlette application."""

    def __init__(self, client: AsyncSessionClient, *, behind_gateway: int = 0) -> None:
        """Take the client, and the number of proxies that append to `X-Forwarded-For` before this backend.

        With 0, what the caller says about its address is dropped. See `session_client.forwarded_for`.
        """
        self.client, self.behind_gateway = client, behind_gateway

    @classmethod
    def from_environment(cls, **options: Any) -> "Sessions":
        """Return sessions with `SESSION_SERVICE_URL`, `SESSION_SERVICE_CREDENTIALS` and `BEHIND_GATEWAY`."""
        return cls(AsyncSessionClient.from_environment(**options), behind_gateway=hops_of())

    def add_to(self, app: Starlette, *, forward: bool = True) -> None:
        """Answer this library's errors in *app*, and with *forward* pass `/sessions/*` on to the service.

        The feed is followed from the start of *app* to its end.
        """
        app.add_exception_handler(Refused, _answer_error)
        app.add_exception_handler(ServiceUnavailable, _answer_error)
        if forward:
            app.router.add_route("/sessions/{path:path}", self.forward, list(calls.FORWARDED_METHODS), None, False)
        lifespan = app.router.lifespan_context

        @asynccontextmanager
        async def with_client(application: Any) -> AsyncIterator[Any]:
            async with lifespan(application) as state:
                self.client.start()
                try:
                    yield state
                finally:
                    await self.client.close()

        app.router.lifespan_context = with_client

    def caller(self, request: Request, token: str | None = None) -> Caller:
        """Return the caller of *request*, with *token* in place of its own."""
        client = request.scope.get("client")
        caller = caller_of_scope(request.scope["headers"], client[0] if client else None, self.behind_gateway)
        return caller if token is None else caller.with_token(token)

    async def check(
        self, request: Request, token: str | None = None, on_outage: OnOutage | None = None
    ) -> ActiveSession:
        """Return the active session of the caller, or of *token* on the same device.

        Raises:
            Refused: the session has ended, or the token is not valid.
            ServiceUnavailable: neither is known.
        """
        reading = request.method in READING
        return await self.client.check(self.caller(request, token), reading=reading, on_outage=on_outage)

    async def required(self, request: Request) -> ActiveSession:
        """Require an active session: 401 with the reason without one, 503 while that is unknown."""
        return await self.check(request)

    async def required_or_remembered(self, request: Request) -> ActiveSession:
        """Do the same, but while the service does not answer, let reading requests pass with a remembered yes.

        The session may have ended meanwhile. Only for data that an ended session may still read.
        """
        return await self.check(request, on_outage="remembered")

    async def create(self, request: Request, token: str, device: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a session for a token that was just issued to the caller; as `SessionClient.create`."""
        return await self.client.create(self.caller(request, token), device)

    async def end(self, request: Request, *, everywhere: bool = False) -> Ended:
        """End the session of the caller; as `SessionClient.end`."""
        return await self.client.end(self.caller(request), everywhere=everywhere)

    async def forward(self, request: Request) -> Response:
        """Pass a request for `/sessions/{path}` on to the service, and its answer back, except for CORS headers."""
        content = (request.headers.get("content-type"), await _body_of(request) if request.method == "POST" else b"")
        query = request.scope["query_string"].decode("latin-1")
        call = calls.forward(request.method, request.path_params["path"], query, self.caller(request), content)
        if call is None:
            raise HTTPException(404)
        return _response(await self.client.forward(call))


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) >= calls.MOST_BODY_BYTES:
            break
    return bytes(body[: calls.MOST_BODY_BYTES])


async def _answer_error(_request: Request, error: Exception) -> Response:
    return _response(cast(Refused | ServiceUnavailable, error).answer)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.passed_on)
