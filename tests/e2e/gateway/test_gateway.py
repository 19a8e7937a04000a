"""The service as it is deployed: whose address counts, which pages may call, and that no query carries a token."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from urllib3 import BaseHTTPResponse

from tests.harness.browsers import APP
from tests.harness.gateway import SIGN_INS_PER_MINUTE, STAGING, Device, Gateway, problem_code
from tests.harness.support import make_token

STRANGER = "https://evil.example.net"


@dataclass(frozen=True)
class Call:
    """A call, and what it is answered."""

    method: str
    path: str
    status: int
    code: str | None = None
    """Of the problem; None for an answer that is none."""
    claims: Mapping[str, Any] | None = field(default_factory=dict)
    """Of the caller's token; None for no token."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def make(self, gateway: Gateway, origin: str) -> BaseHTTPResponse:
        token = None if self.claims is None else make_token(74, **self.claims)
        response = Device(gateway, token, origin=origin).call(self.method, self.path, **self.kwargs)
        assert (response.status, problem_code(response)) == (self.status, self.code), response.data
        return response


TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
ANSWERS = {
    "201": Call("POST", "/sessions/create", 201),
    "200": Call("GET", "/sessions/my-sessions", 200),
    "400": Call("POST", "/sessions/create", 400, "invalid_json", kwargs={"body": b"{", "headers": JSON}),
    "401 without a token": Call("GET", "/sessions/my-sessions", 401, "token_missing", claims=None),
    "401 with an old token": Call("GET", "/sessions/my-sessions", 401, "token_expired", claims={"exp": 1}),
    "403": Call("GET", "/sessions/user/75", 403, "admin_required"),
    "404 no such endpoint": Call("GET", "/sessions/no-such-endpoint", 404, "not_found"),
    "404 no such session": Call("GET", "/sessions/session/987654321", 404, "session_not_found"),
    "405": Call("DELETE", "/sessions/create", 405, "method_not_allowed"),
    "409": Call("DELETE", "/sessions/logout-all?exclude_current=true", 409, "current_session_unknown"),
    "413": Call("POST", "/sessions/create", 413, "body_too_large", kwargs={"json": {"browser": "x" * 20_000}}),
    "415": Call("POST", "/sessions/create", 415, "unsupported_media_type", kwargs={"body": b"hi", "headers": TEXT}),
    "422": Call("POST", "/sessions/create", 422, "validation_failed", kwargs={"json": {"browser": 5}}),
}
EVERY_ANSWER = pytest.mark.parametrize("call", ANSWERS.values(), ids=ANSWERS.keys())


def assert_readable_from(response: BaseHTTPResponse, origin: str) -> None:
    """A browser that shows a page of *origin* lets it read *response*, and nobody stores it."""
    assert response.headers.getlist("Access-Control-Allow-Origin") == [origin]
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers.getlist("Cache-Control") == ["no-store"]


# Addresses


@pytest.mark.parametrize(
    "forwarded_for",
    [
        (),
        ("203.0.113.9",),
        ("203.0.113.9, 198.51.100.4, 10.0.0.1",),
        ("203.0.113.9", "198.51.100.4", "10.0.0.1"),
        ("unknown",),
        ("127.0.0.1", ","),
    ],
    ids=["nothing", "one entry", "three entries", "three headers", "a word", "commas"],
)
def test_a_session_shows_the_address_that_the_gateway_saw(gateway: Gateway, forwarded_for: tuple[str, ...]) -> None:
    device = Device(gateway, make_token(74), address="127.0.0.5", forwarded_for=forwarded_for)

    created = device.sign_in({"ip_address": "203.0.113.9"})

    assert (created["ip_address"], created["ip_source"]) == ("127.0.0.5", "observed")
    assert [session["ip_address"] for session in device.sessions()] == ["127.0.0.5"]


@pytest.mark.parametrize(
    "name", ["X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Forwarded", "Via"]
)
def test_no_other_header_names_an_address(gateway: Gateway, name: str) -> None:
    device = Device(gateway, make_token(74), address="127.0.0.5")
    value = "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"

    response = device.call("POST", "/sessions/create", headers={name: value})

    assert response.status == 201, response.data
    assert response.json()["ip_address"] == "127.0.0.5"


def test_devices_of_one_user_show_an_address_each(gateway: Gateway) -> None:
    home = Device(gateway, make_token(74, n=1), address="127.0.0.11")
    office = Device(gateway, make_token(74, n=2), address="127.0.0.12")
    home.sign_in()
    office.sign_in()

    shown = {session["is_current"]: session["ip_address"] for session in home.sessions()}

    assert shown == {True: "127.0.0.11", False: "127.0.0.12"}


def test_a_forged_address_does_not_make_another_device_of_the_same_one(gateway: Gateway) -> None:
    first = Device(gateway, make_token(74, n=1), forwarded_for=("203.0.113.1",)).sign_in()
    again = Device(gateway, make_token(74, n=2), forwarded_for=("203.0.113.2",))

    second = again.sign_in()

    assert second["evicted"] == []
    assert [session["id"] for session in again.sessions()] == [second["id"]]
    everything = again.call("GET", "/sessions/my-sessions?include_inactive=true").json()
    assert {session["id"]: session["end_reason"] for session in everything} == {
        first["id"]: "replaced",
        second["id"]: None,
    }


# Pages of other origins


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sessions/create"),
        ("GET", "/sessions/my-sessions"),
        ("GET", "/sessions/session/1"),
        ("DELETE", "/sessions/session/1"),
        ("DELETE", "/sessions/logout"),
        ("DELETE", "/sessions/logout-all"),
        ("GET", "/sessions/active-devices-count"),
        ("POST", "/sessions/update-activity"),
        ("GET", "/sessions/user/74"),
        ("DELETE", "/sessions/user/74"),
    ],
)
@pytest.mark.parametrize("origin", [APP, STAGING])
def test_a_browser_may_ask_without_a_token_before_it_calls(
    gateway: Gateway, origin: str, method: str, path: str
) -> None:
    assert_may_ask(gateway, origin, method, path)


def test_a_browser_may_ask_before_it_calls_an_endpoint_that_does_not_exist(gateway: Gateway) -> None:
    """Otherwise it tells the page of a broken network, and never of a 404."""
    assert_may_ask(gateway, APP, "GET", "/sessions/no-such-endpoint")


def assert_may_ask(gateway: Gateway, origin: str, method: str, path: str) -> None:
    """A browser's preflight gets a yes."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}

    response = Device(gateway, origin=origin).call("OPTIONS", path, headers=asked)

    assert_readable_from(response, origin)
    assert listed(response, "Access-Control-Allow-Methods") == {"GET", "POST", "DELETE"}
    assert listed(response, "Access-Control-Allow-Headers") == {"authorization", "content-type"}
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert response.status == 200, response.data


def listed(response: BaseHTTPResponse, name: str) -> set[str]:
    """Return the entries of a header that is a list."""
    return {entry.strip() for entry in response.headers[name].split(",")}


def test_no_other_header_may_be_sent_by_a_page(gateway: Gateway) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,x-api-key"}

    response = Device(gateway).call("OPTIONS", "/sessions/my-sessions", headers=asked)

    assert listed(response, "Access-Control-Allow-Headers") == {"authorization"}


@EVERY_ANSWER
def test_an_allowed_page_can_read_every_answer(gateway: Gateway, call: Call) -> None:
    assert_readable_from(call.make(gateway, APP), APP)


@EVERY_ANSWER
def test_a_page_of_another_origin_can_read_no_answer(gateway: Gateway, call: Call) -> None:
    response = call.make(gateway, STRANGER)

    assert [name for name in response.headers if name.lower().startswith("access-control-allow")] == []
    assert response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    "origin",
    [
        STRANGER,
        "null",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example.net",
        "https://appxexample.com",
        "https://evil-app.example.com",
        f"{APP},{STRANGER}",
    ],
)
def test_an_origin_that_only_looks_like_an_allowed_one_may_not_even_ask(gateway: Gateway, origin: str) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}

    response = Device(gateway, origin=origin).call("OPTIONS", "/sessions/my-sessions", headers=asked)

    assert [name for name in response.headers if name.lower().startswith("access-control-allow")] == []


def test_a_page_can_read_that_its_user_signs_in_too_often(gateway: Gateway) -> None:
    device = Device(gateway, make_token(74))
    last = [device.sign_in() for _ in range(SIGN_INS_PER_MINUTE)][-1]

    response = device.call("POST", "/sessions/create")

    assert (response.status, problem_code(response)) == (429, "sign_in_rate_exceeded")
    assert_readable_from(response, APP)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert "Retry-After" in listed(response, "Access-Control-Expose-Headers")
    assert [session["id"] for session in device.sessions()] == [last["id"]]


def test_a_caller_that_is_no_page_is_answered_all_the_same(gateway: Gateway) -> None:
    backend = Device(gateway, make_token(74), origin=None)

    created = backend.sign_in()

    assert [session["id"] for session in backend.sessions()] == [created["id"]]


# Tokens in the query


@pytest.mark.parametrize("name", ["token", "access_token", "jwt", "authorization"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sessions/my-sessions"),
        ("GET", "/sessions/user/74"),
        ("POST", "/sessions/create"),
        ("DELETE", "/sessions/logout"),
        ("DELETE", "/sessions/logout-all"),
        ("DELETE", "/sessions/user/74"),
    ],
)
def test_a_token_in_the_query_is_no_credentials(gateway: Gateway, method: str, path: str, name: str) -> None:
    token = make_token(74, role="admin")
    owner = Device(gateway, token)
    session = owner.sign_in()

    response = Device(gateway).call(method, f"{path}?{name}={token}")

    assert (response.status, problem_code(response)) == (401, "token_missing")
    assert [one["id"] for one in owner.sessions()] == [session["id"]]


def test_an_admins_token_in_the_query_makes_no_admin_of_the_caller(gateway: Gateway) -> None:
    Device(gateway, make_token(74)).sign_in()
    nosy = Device(gateway, make_token(75))

    response = nosy.call("GET", f"/sessions/user/74?token={make_token(1, role='admin')}")

    assert (response.status, problem_code(response)) == (403, "admin_required")
    assert "admins" in response.json()["detail"]


def test_the_old_frontends_token_in_the_query_does_no_harm_beside_the_real_one(gateway: Gateway) -> None:
    session = Device(gateway, make_token(74)).sign_in()
    token = make_token(1, role="admin")

    response = Device(gateway, token).call("GET", f"/sessions/user/74?token={token}")

    assert response.status == 200
    assert [one["id"] for one in response.json()] == [session["id"]]


# Two workers, and connections that are used again


# Which session is the current one: the traps, asked of both workers
