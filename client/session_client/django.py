"""Sessions in a Django project: a middleware for all views, the calls of a sign-in, and a view for `/sessions/*`.

    # settings.py
    MIDDLEWARE = [..., "session_client.django.SessionMiddleware"]
    SESSION_CLIENT = {"url": "http://127.0.0.1:8080", "credentials": "…", "behind_gateway": 1}

    # urls.py
    urlpatterns = [..., path("sessions/<path:path>", session_client.django.forward)]

A view finds its user in `request.active_session`; the views of the sign-in are `@session_exempt`. Without
`SESSION_CLIENT` the environment counts, as for the other adapters.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from session_client import calls
from session_client.answers import Answer
from session_client.caller import Caller
from session_client.errors import Refused, ServiceUnavailable
from session_client.options import OnOutage, Options
from session_client.threads import SessionClient
from session_client.web import READING, caller_of_environ, hops_of

View = TypeVar("View", bound=Callable[..., Any])


@cache
def client() -> SessionClient:
    """Return the client of this process, for `create`, `end`, `end_user` and `list`."""
    given = {name: value for name, value in _settings().items() if name != "behind_gateway"}
    return SessionClient(Options(**given)) if given else SessionClient.from_environment()


def caller_of(request: HttpRequest, token: str | None = None) -> Caller:
    """Return the caller of *request*, with *token* in place of its own."""
    caller = caller_of_environ(request.META, _hops())
    return caller if token is None else caller.with_token(token)


def session_exempt(view: View) -> View:
    """Let *view* be called without a session: the sign-in, the refresh."""
    view.session_exempt = True  # type: ignore[attr-defined]
    return view


def session_or_remembered(view: View) -> View:
    """While the service does not answer, let *view* be read with a remembered yes.

    The session may have ended meanwhile. Only for data that an ended session may still read.
    """
    view.session_or_remembered = True  # type: ignore[attr-defined]
    return view


class SessionMiddleware:
    """Requires an active session for each view that is not exempt; answers this library's errors."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Take the next layer."""
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; `process_view` is called when its view is known."""
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Find the session, or answer 401 with the reason, or 503 while it is unknown."""
        if getattr(view, "session_exempt", False):
            return None
        on_outage: OnOutage | None = "remembered" if getattr(view, "session_or_remembered", False) else None
        try:
            reading = request.method in READING
            request.active_session = client().check(caller_of(request), reading=reading, on_outage=on_outage)
        except (Refused, ServiceUnavailable) as error:
            return _response(error.answer)
        return None

    def process_exception(self, _request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an error of this library that a view raised."""
        return _response(error.answer) if isinstance(error, Refused | ServiceUnavailable) else None


@csrf_exempt
@session_exempt
def forward(request: HttpRequest, path: str) -> HttpResponse:
    """Pass a request for `/sessions/{path}` on to the service, and its answer back, except for CORS headers."""
    body = request.read(calls.MOST_BODY_BYTES) if request.method == "POST" else b""
    query = request.META.get("QUERY_STRING", "")
    content = (request.META.get("CONTENT_TYPE"), body)
    call = calls.forward(str(request.method), path, query, caller_of(request), content)
    if call is None:
        raise Http404
    return _response(client().forward(call))


def _settings() -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(settings, "SESSION_CLIENT", {})
    return found


@cache
def _hops() -> int:
    given = _settings().get("behind_gateway")
    return hops_of() if given is None else int(given)


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response.headers["Content-Type"]
    for name, value in answer.passed_on.items():
        response.headers[name] = value
    return response
