"""Sessions in a Flask application: a decorator for routes, the calls of a sign-in, and `/sessions/*`.

sessions = Sessions.from_environment()
sessions.init_app(app)

@app.get("/grades")
@sessions.required
def grades():
    return {"user_id": sessions.current.user_id}
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask import Flask, Response, abort, current_app, g, request

from session_client import calls
from session_client.answers import ActiveSession, Answer
from session_client.caller import Caller
from session_client.calls import Ended
from session_client.errors import Refused, ServiceUnavailable
from session_client.options import OnOutage
from session_client.threads import SessionClient
from session_client.web import READING, caller_of_environ, hops_of

P = ParamSpec("P")
R = TypeVar("R")


class Sessions:
    """The sessions of a Flask application."""

    def __init__(self, client: SessionClient, *, behind_gateway: int = 0) -> None:
        """Take the client, and the number of proxies that append to `X-Forwarded-For` before this backend.

        With 0, what the caller says about its address is dropped. See `session_client.forwarded_for`.
        """
        self.client, self.behind_gateway = client, behind_gateway

    @classmethod
    def from_environment(cls, **options: Any) -> "Sessions":
        """Return sessions with `SESSION_SERVICE_URL`, `SESSION_SERVICE_CREDENTIALS` and `BEHIND_GATEWAY`."""
        return cls(SessionClient.from_environment(**options), behind_gateway=hops_of())

    def init_app(self, app: Flask, *, forward: bool = True) -> None:
        """Answer this library's errors in *app*, and with *forward* pass `/sessions/*` on to the service."""
        app.register_error_handler(Refused, lambda error: _response(error.answer))
        app.register_error_handler(ServiceUnavailable, lambda error: _response(error.answer))
        if forward:
            methods = [method for method in calls.FORWARDED_METHODS if method != "HEAD"]
            app.add_url_rule("/sessions/<path:path>", "session_client_forward", self.forward, methods=methods)

    @property
    def current(self) -> ActiveSession:
        """The session that the decorator found for this request."""
        return cast(ActiveSession, g.session_client_session)

    def caller(self, token: str | None = None) -> Caller:
        """Return the caller of this request, with *token* in place of its own."""
        caller = caller_of_environ(request.environ, self.behind_gateway)
        return caller if token is None else caller.with_token(token)

    def check(self, token: str | None = None, on_outage: OnOutage | None = None) -> ActiveSession:
        """Return the active session of this request's caller, or of *token* on the same device.

        Raises:
            Refused: the session has ended, or the token is not valid.
            ServiceUnavailable: neither is known.
        """
        reading = request.method in READING
        return self.client.check(self.caller(token), reading=reading, on_outage=on_outage)

    def required(self, view: Callable[P, R]) -> Callable[P, R]:
        """Require an active session for *view*: 401 with the reason without one, 503 while that is unknown."""
        return self._guarded(view, None)

    def required_or_remembered(self, view: Callable[P, R]) -> Callable[P, R]:
        """Do the same, but while the service does not answer, let reading requests pass with a remembered yes.

        The session may have ended meanwhile. Only for data that an ended session may still read.
        """
        return self._guarded(view, "remembered")

    def _guarded(self, view: Callable[P, R], on_outage: OnOutage | None) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            g.session_client_session = self.check(on_outage=on_outage)
            return cast(R, current_app.ensure_sync(view)(*args, **kwargs))

        return guarded

    def create(self, token: str, device: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a session for a token that was just issued to this request's caller; as `SessionClient.create`."""
        return self.client.create(self.caller(token), device)

    def end(self, *, everywhere: bool = False) -> Ended:
        """End the session of this request's caller; as `SessionClient.end`."""
        return self.client.end(self.caller(), everywhere=everywhere)

    def forward(self, path: str) -> Response:
        """Pass this request on to the service, and its answer back, except for CORS headers."""
        body = request.stream.read(calls.MOST_BODY_BYTES) if request.method == "POST" else b""
        content = (request.headers.get("Content-Type"), body)
        query = request.query_string.decode("latin-1")
        call = calls.forward(request.method, path, query, self.caller(), content)
        return _response(self.client.forward(call)) if call is not None else abort(404)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.passed_on)
