"""The three adapters, each in an application with the same routes, on a service in memory."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import django
import httpx
import pytest
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.test import Client as DjangoClient
from django.urls import path
from fastapi import Depends, FastAPI, Request
from flask import Flask

from session_client import ActiveSession
from session_client import django as django_sessions
from session_client import fastapi as fastapi_sessions
from session_client import flask as flask_sessions
from session_client.testing import FakeService

settings.configure(
    ROOT_URLCONF="test_adapters",
    MIDDLEWARE=["session_client.django.SessionMiddleware"],
    ALLOWED_HOSTS=["*"],
    SESSION_CLIENT={"behind_gateway": 1},
)
django.setup()


@dataclass
class Got:
    """An answer, as any of the test clients gives it."""

    status: int
    given_headers: Mapping[str, str]
    body: bytes

    @property
    def headers(self) -> httpx.Headers:
        return httpx.Headers(dict(self.given_headers))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Headers = dict[str, str] | None


def headers_with(token: str, more: Headers) -> dict[str, str]:
    return {**({"Authorization": f"Bearer {token}"} if token else {}), **(more or {})}


class Call(Protocol):
    """Calls an application behind a gateway."""

    def __call__(self, method: str, path: str, token: str = "", body: bytes = b"", headers: Headers = None) -> Got: ...


# The same routes, three times.


def shown(session: ActiveSession) -> dict[str, Any]:
    return {"user_id": session.user_id, "session_id": session.session_id}


@contextmanager
def in_flask(service: FakeService) -> Iterator[Call]:
    app = Flask(__name__)
    sessions = flask_sessions.Sessions(service.client(), behind_gateway=1)
    sessions.init_app(app)

    @app.route("/grades", methods=["GET", "POST"])
    @sessions.required
    def grades() -> Any:
        return shown(sessions.current)

    @app.get("/asynchronous")
    @sessions.required_or_remembered
    async def asynchronous() -> Any:
        return shown(sessions.current)

    @app.post("/login")
    def login() -> Any:
        return sessions.create(service.token(74), {"device_name": "Laptop"})

    @app.post("/logout")
    def logout() -> Any:
        return {"closed": sessions.end().closed}

    def call(method: str, path: str, token: str = "", body: bytes = b"", headers: Headers = None) -> Got:
        given = headers_with(token, headers)
        got = app.test_client().open(path, method=method, headers=given, data=body)
        return Got(got.status_code, dict(got.headers), got.data)

    yield call
    sessions.client.close()


@contextmanager
def in_fastapi(service: FakeService) -> Iterator[Call]:
    app = FastAPI()
    sessions = fastapi_sessions.Sessions(service.async_client(), behind_gateway=1)
    sessions.add_to(app)

    @app.api_route("/grades", methods=["GET", "POST"])
    async def grades(session: Annotated[ActiveSession, Depends(sessions.required)]) -> Any:
        return shown(session)

    @app.get("/asynchronous")
    async def asynchronous(session: Annotated[ActiveSession, Depends(sessions.required_or_remembered)]) -> Any:
        return shown(session)

    @app.post("/login")
    async def login(request: Request) -> Any:
        return await sessions.create(request, service.token(74), {"device_name": "Laptop"})

    @app.post("/logout")
    async def logout(request: Request) -> Any:
        return {"closed": (await sessions.end(request)).closed}

    loop = asyncio.new_event_loop()
    browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://backend.test")
    lifespan = app.router.lifespan_context(app)

    def call(method: str, path: str, token: str = "", body: bytes = b"", headers: Headers = None) -> Got:
        given = headers_with(token, headers)
        got = loop.run_until_complete(browser.request(method, path, headers=given, content=body))
        return Got(got.status_code, dict(got.headers), got.content)

    loop.run_until_complete(lifespan.__aenter__())
    yield call
    loop.run_until_complete(lifespan.__aexit__(None, None, None))
    loop.run_until_complete(browser.aclose())
    loop.close()


def grades(request: HttpRequest) -> JsonResponse:
    return JsonResponse(shown(request.active_session))


@django_sessions.session_or_remembered
def asynchronous(request: HttpRequest) -> JsonResponse:
    return JsonResponse(shown(request.active_session))


@django_sessions.session_exempt
def login(request: HttpRequest) -> JsonResponse:
    token = current_service.token(74)
    return JsonResponse(
        django_sessions.client().create(django_sessions.caller_of(request, token), {"device_name": "Laptop"})
    )


def logout(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"closed": django_sessions.client().end(django_sessions.caller_of(request)).closed})


urlpatterns = [
    path("grades", grades),
    path("asynchronous", asynchronous),
    path("login", login),
    path("logout", logout),
    path("sessions/<path:path>", django_sessions.forward),
]
current_service = FakeService()


@contextmanager
def in_django(service: FakeService) -> Iterator[Call]:
    global current_service  # noqa: PLW0603 - Django's views are functions of a module
    current_service = service
    with pytest.MonkeyPatch.context() as patch:
        client = service.client()
        patch.setattr(django_sessions, "client", lambda: client)

        def call(method: str, path: str, token: str = "", body: bytes = b"", headers: Headers = None) -> Got:
            given = headers_with(token, headers)
            kind = given.pop("Content-Type", "application/octet-stream")
            got = DjangoClient().generic(method, path, body, kind, headers=given)
            return Got(got.status_code, dict(got.headers.items()), got.content)

        yield call
        client.close()


FRAMEWORKS = {"flask": in_flask, "fastapi": in_fastapi, "django": in_django}


@pytest.fixture
def service() -> FakeService:
    """Return a service in memory."""
    return FakeService()


@pytest.fixture(params=FRAMEWORKS)
def call(request: pytest.FixtureRequest, service: FakeService) -> Iterator[Call]:
    """Return what calls the application, in each framework."""
    start: Callable[[FakeService], Any] = FRAMEWORKS[request.param]
    with start(service) as calls:
        yield calls


def test_a_route_gets_the_user_and_the_session(call: Call, service: FakeService) -> None:
    token = service.sign_in(74)

    for method in ("GET", "POST"):
        got = call(method, "/grades", token)
        assert (got.status, got.json) == (200, {"user_id": 74, "session_id": 1})
    assert call("GET", "/asynchronous", token).status == 200


def test_a_no_is_the_services_own_answer(call: Call, service: FakeService) -> None:
    token = service.sign_in(74)
    service.end_user(74)

    ended, missing = call("GET", "/grades", token), call("GET", "/grades")

    assert (ended.status, ended.json["code"], ended.json["end_reason"]) == (401, "session_ended", "admin")
    assert ended.headers["X-Session-Code"] == "session_ended"
    assert ended.headers["WWW-Authenticate"].startswith("Bearer")
    assert ended.headers["Content-Type"] == "application/problem+json"
    assert ended.headers["Cache-Control"] == "no-store"
    assert (missing.status, missing.json["code"]) == (401, "token_missing")


def test_neither_yes_nor_no_is_503_for_every_route_and_call(call: Call, service: FakeService) -> None:
    token = service.sign_in(74)
    service.is_down = True

    for method, route in (
        ("GET", "/grades"),
        ("GET", "/asynchronous"),
        ("POST", "/login"),
        ("POST", "/logout"),
        ("GET", "/sessions/my-sessions"),
    ):
        got = call(method, route, token)
        assert (got.status, got.json["code"], got.headers["Retry-After"]) == (503, "service_unavailable", "1"), route


def test_a_sign_in_begins_a_session_and_a_sign_out_ends_it(call: Call, service: FakeService) -> None:
    created = call("POST", "/login").json
    token = service.sign_in(75)

    assert (created["user_id"], created["device_name"], created["evicted"]) == (74, "Laptop", [])
    assert call("POST", "/logout", token).json == {"closed": 1}
    assert call("GET", "/grades", token).json["end_reason"] == "logout"


def test_sessions_are_forwarded(call: Call, service: FakeService) -> None:
    token, other = service.sign_in(74), service.token(74)
    described = {"Content-Type": "application/json"}

    listed = call("GET", "/sessions/my-sessions?include_inactive=true", token)
    created = call("POST", "/sessions/create", other, b'{"device_name": "Phone"}', described)
    closed = call("DELETE", f"/sessions/session/{created.json['id']}", token)
    refused = call("GET", "/sessions/my-sessions", other)

    assert [one["id"] for one in listed.json] == [1]
    assert (created.status, created.headers["Location"]) == (201, "/sessions/session/2")
    assert created.json["device_name"] == "Phone"
    assert (closed.status, closed.json["success"]) == (200, True)
    assert (refused.status, refused.headers["X-Session-Code"]) == (401, "session_ended")
    for got in (listed, created, closed, refused):
        assert got.headers["X-Request-ID"] == "0" * 32
        assert "Date" not in got.headers or got.headers["Date"]


@pytest.mark.parametrize("route", ["/sessions/%2e%2e/grades", "/sessions/x/%2e%2e/%2e%2e/metrics"])
def test_nothing_but_sessions_is_forwarded(call: Call, route: str) -> None:
    got = call("GET", route)

    assert got.status in {401, 404}
    assert got.json["code"] == "token_missing" if got.status == 401 else "X-Request-ID" not in got.headers


def test_the_service_is_told_the_gateways_entry_and_not_the_callers(call: Call, service: FakeService) -> None:
    seen: list[str | None] = []
    answer = service.answer

    def watched(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("X-Forwarded-For"))
        return answer(request)

    service.answer = watched  # type: ignore[method-assign]
    token = service.sign_in(74)

    call("GET", "/grades", token, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.1"})
    call("GET", "/sessions/my-sessions", token, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.1"})

    assert seen == ["203.0.113.1"] * 2
