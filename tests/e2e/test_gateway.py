"""The service as it is deployed: gunicorn with two workers, behind an nginx that forwards `/sessions/`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import urllib3
from urllib3 import BaseHTTPResponse, HTTPHeaderDict

from tests.harness.nginx import nginx
from tests.harness.reports import require_tool
from tests.harness.servers import gunicorn
from tests.harness.support import ANDROID, CHROME, EDGE, FIREFOX, IPHONE, make_token

APP = "https://app.example.com"
STAGING = "http://staging.example.com:3000"
STRANGER = "https://evil.example.net"

REFRESHED = count(1)
LIMIT = 3
SIGN_INS_PER_MINUTE = 10


@dataclass(frozen=True)
class Gateway:
    """The gateway, and the file in which gunicorn notes which of its workers answered which request."""

    url: str
    answered: Path

    def workers_of(self, responses: Sequence[BaseHTTPResponse]) -> set[str]:
        """Return which workers gave *responses*; gunicorn writes that down just after it has answered."""
        requests = {response.headers["X-Request-ID"] for response in responses}
        deadline = monotonic() + 10
        while monotonic() < deadline:
            notes = [line.split() for line in self.answered.read_text(encoding="utf-8").splitlines()]
            workers = {note[0]: note[1] for note in notes if len(note) == 2 and note[0] in requests}
            if workers.keys() == requests:
                return set(workers.values())
        raise AssertionError(f"gunicorn did not write down who answered {requests - workers.keys()}")


@pytest.fixture(scope="module")
def start_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """Return a function that puts servers in front of a database, one set for all tests of this module."""
    require_tool("nginx")
    with ExitStack() as stack:

        @cache
        def start(database_url: str) -> Gateway:
            answered = tmp_path_factory.mktemp("gunicorn") / "answered"
            service = gunicorn(
                database_url,
                TRUSTED_PROXY_HOPS="1",
                CORS_ALLOWED_ORIGINS=f"{APP},{STAGING}",
                MAX_SESSIONS_PER_USER=str(LIMIT),
                MAX_SIGN_INS_PER_MINUTE=str(SIGN_INS_PER_MINUTE),
                GUNICORN_CMD_ARGS=f"--access-logfile {answered} --access-logformat '%({{x-request-id}}o)s %(p)s'",
            )
            return Gateway(stack.enter_context(nginx(stack.enter_context(service))), answered)

        yield start


@pytest.fixture
def gateway(database_url: str, start_gateway: Callable[[str], Gateway]) -> Gateway:
    """Return the gateway to a service whose database has no rows."""
    return start_gateway(database_url)


@dataclass(frozen=True)
class Device:
    """Something that calls through the gateway, from an address and with a token of its own."""

    gateway: Gateway
    token: str | None = None
    address: str = "127.0.0.1"
    user_agent: str = CHROME
    origin: str | None = APP
    forwarded_for: tuple[str, ...] = ()
    """What it claims in `X-Forwarded-For`, one header each."""

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> BaseHTTPResponse:
        """Call an endpoint, on a connection that is closed afterwards."""
        sent = HTTPHeaderDict({"User-Agent": self.user_agent})
        if self.token:
            sent.add("Authorization", f"Bearer {self.token}")
        if self.origin:
            sent.add("Origin", self.origin)
        for claimed in self.forwarded_for:
            sent.add("X-Forwarded-For", claimed)
        sent.update(headers or {})
        with urllib3.PoolManager(source_address=(self.address, 0), retries=False, timeout=20) as http:
            return http.request(method, f"{self.gateway.url}{path}", headers=sent, **kwargs)

    def sign_in(self, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Open a session; return it as the service described it."""
        response = self.call("POST", "/sessions/create", json=body or {})
        assert response.status == 201, response.data
        return dict(response.json())

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that the service lists for this user."""
        response = self.call("GET", "/sessions/my-sessions")
        assert response.status == 200, response.data
        return list(response.json())


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


def problem_code(response: BaseHTTPResponse) -> str | None:
    """Return the code of a problem that is one in every respect; None for an answer that is none."""
    if response.headers["Content-Type"] != "application/problem+json":
        return None
    problem = response.json()
    assert problem["status"] == response.status
    assert problem["detail"].strip()
    assert problem["request_id"] == response.headers["X-Request-ID"]
    return str(problem["code"])


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


def answers_of_both_workers(
    devices: Sequence[Device], method: str, path: str, *, seconds: float = 20
) -> list[BaseHTTPResponse]:
    """Return answers to the same call from *devices*, made side by side until each of the workers gave some."""
    responses: list[BaseHTTPResponse] = []
    deadline = monotonic() + seconds
    with ThreadPoolExecutor(8) as pool:
        while monotonic() < deadline:
            # Side by side, for one after the other the gateway would use one connection, and that is one worker's.
            responses += pool.map(lambda device: device.call(method, path), [*devices] * 8)
            if len(devices[0].gateway.workers_of(responses)) == 2:
                return responses
    raise AssertionError(f"one worker gave all {len(responses)} answers within {seconds} s")


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


def test_devices_that_sign_in_at_once_are_listed_alike_by_both_workers(gateway: Gateway) -> None:
    agents = (CHROME, EDGE, IPHONE, FIREFOX, ANDROID)
    devices = [
        Device(gateway, make_token(74, n=number), f"127.0.0.{10 + number}", agent)
        for number, agent in enumerate(agents)
    ]

    with ThreadPoolExecutor(len(devices)) as pool:
        created = [session["id"] for session in pool.map(Device.sign_in, devices)]

    newest = sorted(created, reverse=True)[:LIMIT]
    remaining = [device for device, session_id in zip(devices, created, strict=True) if session_id in newest]
    answers = answers_of_both_workers(remaining, "GET", "/sessions/my-sessions")
    assert {tuple(sorted((session["id"] for session in one.json()), reverse=True)) for one in answers} == {
        tuple(newest)
    }


def test_no_worker_admits_a_device_once_its_end_is_acknowledged(gateway: Gateway) -> None:
    laptop = Device(gateway, make_token(74, n=1), user_agent=CHROME)
    phone = Device(gateway, make_token(74, n=2), user_agent=IPHONE)
    lost = phone.sign_in()
    laptop.sign_in()
    answers = answers_of_both_workers([phone], "GET", "/sessions/my-sessions")
    assert {one.status for one in answers} == {200}

    ended = laptop.call("DELETE", f"/sessions/session/{lost['id']}")

    assert ended.json() == {"success": True, "message": "Session closed successfully"}
    answers = answers_of_both_workers([phone], "GET", "/sessions/my-sessions")
    assert {(one.status, problem_code(one)) for one in answers} == {(401, "session_ended")}


def test_head_gives_the_headers_of_get_and_no_body(gateway: Gateway) -> None:
    device = Device(gateway, make_token(74))
    session = device.sign_in()

    answers = [device.call(method, f"/sessions/session/{session['id']}") for method in ("GET", "HEAD")]

    assert [answer.status for answer in answers] == [200, 200]
    assert [len(answer.data) for answer in answers] == [int(answers[0].headers["Content-Length"]), 0]
    for name in ("Content-Type", "Content-Length", "Cache-Control", "Access-Control-Allow-Origin"):
        assert answers[0].headers[name] == answers[1].headers[name]


def test_head_without_a_token_is_refused_without_a_body(gateway: Gateway) -> None:
    response = Device(gateway).call("HEAD", "/sessions/my-sessions")

    assert (response.status, response.data) == (401, b"")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kilobytes", [17, 60, 120, 900])
@pytest.mark.parametrize(
    ("token", "status", "code"),
    [(make_token(75), 413, "body_too_large"), (None, 401, "token_missing")],
    ids=["413", "401"],
)
def test_a_refused_body_does_not_fail_the_next_callers_call(
    gateway: Gateway, kilobytes: int, token: str | None, status: int, code: str
) -> None:
    """The gateway uses its connection to a worker again, so the next caller meets what the last one left there."""
    bystander = Device(gateway, make_token(74))
    session = bystander.sign_in()

    for _ in range(10):
        refused = Device(gateway, token).call(
            "POST", "/sessions/create", body=b"x" * kilobytes * 1_000, headers={"Content-Type": "application/json"}
        )
        assert (refused.status, problem_code(refused)) == (status, code)
        touched = bystander.call("POST", "/sessions/update-activity")
        assert (touched.status, touched.json()["id"]) == (200, session["id"])


# Which session is the current one: the traps, asked of both workers


def refreshed(device: Device) -> Device:
    """Return the same device with a token that its auth server refreshed: new text of the same shape."""
    return replace(device, token=make_token(74, refreshed=next(REFRESHED)))


def current(device: Device) -> int | str | None:
    """Return which session both workers say that a device is signed in with, or the code with which both refuse it."""
    answers = answers_of_both_workers([device], "GET", "/sessions/validate")
    (said,) = {one.headers.get("X-Session-Code") or int(one.headers["X-Session-Id"]) for one in answers}
    return said


def ended(device: Device) -> dict[int, str]:
    """Return why sessions of the user's have ended."""
    listed = device.call("GET", "/sessions/my-sessions?include_inactive=true")
    assert listed.status == 200, listed.data
    return {one["id"]: one["end_reason"] for one in listed.json() if not one["is_active"]}


FINGERPRINT = {"device_fingerprint": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"}


def test_two_sign_ins_in_one_second_share_a_token_and_each_signs_out_itself(gateway: Gateway) -> None:
    token = make_token(74)
    desk, phone = Device(gateway, token), Device(gateway, token, "127.0.0.2", IPHONE)
    at_desk, on_phone = desk.sign_in(FINGERPRINT)["id"], phone.sign_in(FINGERPRINT)["id"]
    assert (current(desk), current(phone)) == (at_desk, on_phone)

    assert phone.call("DELETE", "/sessions/logout").status == 200

    assert (current(desk), current(phone)) == (at_desk, "session_ended")
    assert ended(desk) == {on_phone: "logout"}


def test_a_refreshed_token_is_the_same_device_and_signs_it_out(gateway: Gateway) -> None:
    phone, desk = Device(gateway, make_token(74, n=1), user_agent=IPHONE), Device(gateway, make_token(74, n=2))
    on_phone, at_desk = phone.sign_in(FINGERPRINT)["id"], desk.sign_in(FINGERPRINT)["id"]
    later = refreshed(phone)
    assert current(later) == on_phone

    assert later.call("DELETE", "/sessions/logout").status == 200
    assert later.call("DELETE", "/sessions/logout").status == 200

    assert (current(phone), current(later), current(desk)) == ("session_ended", "session_ended", at_desk)
    assert ended(desk) == {on_phone: "logout"}


@pytest.mark.parametrize("spelling", ["bearer {}", "Bearer   {}", "Bearer {}=", "Bearer {} "])
def test_a_token_of_an_ended_session_is_refused_however_it_is_spelt(gateway: Gateway, spelling: str) -> None:
    desk, phone = Device(gateway, make_token(74, n=1)), Device(gateway, make_token(74, n=2), user_agent=IPHONE)
    on_phone = phone.sign_in()["id"]
    desk.sign_in()
    assert desk.call("DELETE", f"/sessions/session/{on_phone}").status == 200

    answer = phone.call("GET", "/sessions/my-sessions", headers={"Authorization": spelling.format(phone.token)})

    assert answer.status == 401


def test_every_browser_sends_one_fingerprint_and_each_is_told_by_its_user_agent(gateway: Gateway) -> None:
    browsers = [
        Device(gateway, make_token(74, n=n), user_agent=agent) for n, agent in enumerate((CHROME, EDGE, FIREFOX))
    ]
    ids = [browser.sign_in(FINGERPRINT)["id"] for browser in browsers]
    later = [refreshed(browser) for browser in browsers]

    assert [current(browser) for browser in later] == ids
    assert later[1].call("DELETE", "/sessions/logout").status == 200
    assert ended(later[0]) == {ids[1]: "logout"}


def test_a_phone_changes_its_address_between_calls(gateway: Gateway) -> None:
    phone = Device(gateway, make_token(74, n=1), "127.0.0.2", IPHONE)
    Device(gateway, make_token(74, n=2)).sign_in(FINGERPRINT)
    session_id = phone.sign_in(FINGERPRINT)["id"]
    later = refreshed(replace(phone, address="127.0.0.3"))

    assert current(later) == session_id
    assert current(replace(later, address="127.0.0.4")) == session_id


def test_a_browser_updates_itself(gateway: Gateway) -> None:
    desk = Device(gateway, make_token(74))
    session_id = desk.sign_in(FINGERPRINT)["id"]

    assert current(refreshed(replace(desk, user_agent=CHROME.replace("131.0", "142.0")))) == session_id


def test_home_is_thrown_out_and_the_office_is_not_though_it_is_the_same_browser(gateway: Gateway) -> None:
    home = Device(gateway, make_token(74, n=1), "127.0.0.2")
    office = Device(gateway, make_token(74, n=2), "127.0.0.3")
    at_home, at_office = home.sign_in(FINGERPRINT)["id"], office.sign_in(FINGERPRINT)["id"]
    assert office.call("DELETE", f"/sessions/session/{at_home}").status == 200

    assert current(refreshed(home)) == current(home) == "session_ended"
    assert current(refreshed(office)) == current(office) == at_office
    assert refreshed(home).call("DELETE", "/sessions/logout").status == 200
    assert ended(office) == {at_home: "revoked"}

    again = refreshed(home)
    new = again.sign_in(FINGERPRINT)["id"]
    assert current(again) == current(refreshed(home)) == new
    assert current(home) == "session_ended"


def test_the_wrong_device_is_never_signed_out_when_the_right_one_can_be_told(gateway: Gateway) -> None:
    home = Device(gateway, make_token(74, n=1), "127.0.0.2")
    office = Device(gateway, make_token(74, n=2), "127.0.0.3")
    at_home, at_office = home.sign_in(FINGERPRINT)["id"], office.sign_in(FINGERPRINT)["id"]

    assert refreshed(home).call("DELETE", "/sessions/logout").status == 200

    assert ended(office) == {at_home: "logout"}
    assert current(refreshed(office)) == at_office


def test_of_two_identical_browsers_behind_one_address_the_last_active_is_taken(gateway: Gateway) -> None:
    """Nothing that they send differs once their tokens are refreshed; only their fingerprints did, at the sign-in."""
    one, other = (Device(gateway, make_token(74, n=n)) for n in (1, 2))
    first = one.sign_in({"device_fingerprint": "one"})["id"]
    second = other.sign_in({"device_fingerprint": "other"})["id"]
    assert one.call("POST", "/sessions/update-activity").status == 200

    assert current(refreshed(other)) == first
    assert (current(one), current(other)) == (first, second)


def test_without_a_token_nothing_is_signed_out(gateway: Gateway) -> None:
    desk = Device(gateway, make_token(74))
    session_id = desk.sign_in()["id"]

    assert replace(desk, token=None).call("DELETE", "/sessions/logout").status == 401
    assert current(desk) == session_id
