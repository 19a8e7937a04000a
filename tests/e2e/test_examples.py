"""The steps of `docs/integration.md`, played with its examples, and what each step cannot do.

One auth server as it is today, and the same after the steps in FastAPI and in Flask. The tokens of the first have no
`sid`: a device that signed in there and calls another backend is what steps 0 to 2 have to do with.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import psycopg
import pytest

from tests.harness.browsers import APP, Browser
from tests.harness.nginx import nginx_with
from tests.harness.paths import PROJECT
from tests.harness.reports import require_tool
from tests.harness.servers import example, gunicorn
from tests.harness.support import FIREFOX, IPHONE, make_token

FRAMEWORKS = ("fastapi_backend", "flask_backend")
CREDENTIALS = "backend:" + "credentials-of-the-tests"
PASSWORD = "a password of the tests"
DEMO = {"DEMO_PASSWORD": PASSWORD, "REFRESH_SECRET_KEY": "the-secret-of-refresh-tokens-in-tests"}
GATEWAY_CONFIG = PROJECT / "examples" / "gateways" / "nginx-auth-request.conf"
STEP_0_CONFIG = PROJECT / "examples" / "gateways" / "nginx-step-0.conf"
HOME, OFFICE, STREET = "127.0.0.2", "127.0.0.3", "127.0.0.4"
USER, DISABLED = 74, 84

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


@dataclass(frozen=True)
class Servers:
    """The base URLs of everything that runs."""

    service: str
    today: str
    """The auth server as it is, which has never heard of sessions."""
    gateway: str
    """nginx before both of them, as in step 0."""
    fastapi_backend: str
    flask_backend: str


def settings_of(service: str, **more: str) -> dict[str, str]:
    """Return a backend's environment."""
    return {
        **DEMO,
        "SESSION_SERVICE_URL": service,
        "SESSION_SERVICE_CREDENTIALS": CREDENTIALS,
        "CORS_ALLOWED_ORIGINS": APP,
        **more,
    }


@contextmanager
def service_on(database_url: str, **settings: str) -> Iterator[str]:
    """Run the service; one proxy, or one backend, stands before it."""
    fixed = {"TRUSTED_PROXY_HOPS": "1", "MAX_SIGN_INS_PER_MINUTE": "0", "SERVICE_CREDENTIALS": CREDENTIALS}
    with gunicorn(database_url, **fixed, **settings) as url:
        yield url


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[str], Servers]]:
    """Return a function that starts everything on a database, one set for all tests of this module."""
    with ExitStack() as stack:

        @cache
        def started(database_url: str) -> Servers:
            today = stack.enter_context(example("auth_server", **DEMO))
            service = stack.enter_context(service_on(database_url, AUTH_SERVER_USERINFO_URL=f"{today}/user/me"))
            adopting = stack.enter_context(service_on(database_url, UNKNOWN_SESSION_POLICY="adopt"))
            gateway = stack.enter_context(
                nginx_with(STEP_0_CONFIG, p8080=adopting.removeprefix("http://"), p8000=today.removeprefix("http://"))
            )
            backends = [stack.enter_context(example(name, **settings_of(service))) for name in FRAMEWORKS]
            return Servers(service, today, gateway, *backends)

        yield started


@pytest.fixture
def servers(database_url: str, start: Callable[[str], Servers]) -> Servers:
    """Return the servers; their database has no rows."""
    require_tool("nginx")
    return start(database_url)


@pytest.fixture(params=FRAMEWORKS)
def backend(request: pytest.FixtureRequest, servers: Servers) -> str:
    """Return a backend after all steps."""
    return str(getattr(servers, request.param))


# What a browser does


def log_in(
    url: str, user_id: int, password: str = PASSWORD, device: dict[str, str] | None = None, **kind: Any
) -> Browser:
    """Return a browser that has signed in."""
    browser = Browser(url, **kind)
    email = "admin@example.com" if user_id == 1 else f"user{user_id}@example.com"
    answer = browser.call("POST", "/auth/login", json={"email": email, "password": password, "device": device})
    assert answer.status == 200, answer.data
    return replace(browser, token=answer.json()["access_token"], refresh_token=answer.json()["refresh_token"])


def wait_for_the_next_second() -> None:
    """Wait until a token of the same user is another text, or until there is a second for two that are the same."""
    sleep(1.0 - time() % 1.0)


def log_in_within_one_second(url: str) -> tuple[Browser, Browser]:
    """Return a computer and a phone whose sign-ins gave one token, however slow the machine is."""
    for _ in range(20):
        wait_for_the_next_second()
        desk, phone = log_in(url, USER), log_in(url, USER, user_agent=IPHONE)
        if desk.token == phone.token:
            return desk, phone
    raise AssertionError("no two sign-ins in one second")


def refresh(browser: Browser) -> Browser:
    """Return the browser with the token that a refresh gave it."""
    wait_for_the_next_second()
    answer = replace(browser, token=None).call("POST", "/auth/refresh", json={"refresh_token": browser.refresh_token})
    assert answer.status == 200, answer.data
    return replace(browser, token=answer.json()["access_token"])


def at(url: str, browser: Browser) -> Browser:
    """Return the same browser calling another server."""
    return replace(browser, url=url)


def listed(browser: Browser) -> list[dict[str, Any]]:
    """Return the sessions that the browser's user sees."""
    answer = browser.get("/sessions/my-sessions")
    assert answer.status == 200, answer.data
    return list(answer.json())


def claims_of(token: str | None) -> dict[str, Any]:
    payload = str(token).split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def throw_out(browser: Browser, by: Browser) -> None:
    """End the browser's session from another device of its user."""
    (session_id,) = [one["id"] for one in listed(browser) if one["is_current"]]
    assert by.call("DELETE", f"/sessions/session/{session_id}").status == 200


def code_of(browser: Browser, path: str = "/grades") -> int | str:
    """Return the status of a route, or the code with which it is refused."""
    answer = browser.get(path)
    return answer.headers.get("X-Session-Code") or answer.status


# The tokens


def test_the_auth_server_issues_the_tokens_of_today(servers: Servers) -> None:
    browser = log_in(servers.today, 74)
    refreshed = refresh(browser)

    for token, seconds in ((browser.token, 1_800), (refreshed.token, 1_800), (browser.refresh_token, 604_800)):
        claims = claims_of(token)
        assert claims == {"id": 74, "email": "user74@example.com", "exp": claims["exp"]}
        assert abs(claims["exp"] - time() - seconds) < 30
    assert refreshed.token != browser.token
    assert Browser(servers.today, browser.refresh_token).get("/user/me").status == 401
    assert refreshed.get("/user/me").json()["role"] == "user"
    admin = log_in(servers.today, 1)
    assert [admin.get(f"/user/id/{user_id}").status for user_id in (74, 999)] == [200, 404]


def test_two_sign_ins_in_one_second_give_one_token(servers: Servers) -> None:
    first, second = log_in_within_one_second(servers.today)

    assert first.token == second.token


# Step 0: nothing changed but the gateway


def test_step_0_devices_appear_when_they_first_ask(servers: Servers) -> None:
    desk = log_in(servers.gateway, USER)
    wait_for_the_next_second()
    phone = log_in(servers.gateway, USER, user_agent=IPHONE, address=STREET)
    assert [one["device_name"] for one in listed(desk)] == ["Chrome on Windows 10"]

    phones = listed(phone)

    assert [one["device_name"] for one in phones] == ["Safari on iPhone", "Chrome on Windows 10"]
    assert [one["ip_address"] for one in phones] == [STREET, "127.0.0.1"]
    assert [one["id"] for one in listed(refresh(phone)) if one["is_current"]] == [phones[0]["id"]]


def test_step_0_an_ended_device_is_refused_at_sessions_and_its_refreshed_token_too(servers: Servers) -> None:
    desk = log_in(servers.gateway, USER)
    wait_for_the_next_second()
    phone = log_in(servers.gateway, USER, user_agent=IPHONE)
    listed(phone)

    throw_out(phone, by=desk)

    assert code_of(phone, "/sessions/my-sessions") == "session_ended"
    assert code_of(refresh(phone), "/sessions/my-sessions") == "session_ended"


def test_step_0_cannot_count_a_device_that_never_asked(servers: Servers) -> None:
    for agent in (IPHONE, FIREFOX):
        log_in(servers.gateway, USER, user_agent=agent)

    assert len(listed(log_in(servers.gateway, USER))) == 1


def test_step_0_and_1_cannot_keep_an_ended_device_from_a_backend_that_does_not_ask(servers: Servers) -> None:
    desk = log_in(servers.gateway, USER)
    wait_for_the_next_second()
    phone = log_in(servers.gateway, USER, user_agent=IPHONE)
    listed(phone)

    throw_out(phone, by=desk)

    assert phone.get("/user/me").status == 200
    assert refresh(phone).get("/user/me").status == 200


def test_step_0_cannot_tell_two_devices_apart_that_signed_in_within_one_second(servers: Servers) -> None:
    desk, phone = log_in_within_one_second(servers.gateway)

    assert [one["id"] for one in listed(desk)] == [one["id"] for one in listed(phone)]


# Step 1: create at the sign-in, /sessions/* forwarded


def test_step_1_a_device_is_listed_from_its_sign_in_on_and_the_limit_holds(backend: str) -> None:
    kinds: list[dict[str, Any]] = [{}, {"user_agent": IPHONE}, {"user_agent": FIREFOX}, {"address": OFFICE}]

    browsers = [log_in(backend, USER, **kind) for kind in kinds]

    assert [one["device_name"] for one in listed(browsers[-1])] == [
        "Chrome on Windows 10",
        "Firefox on Linux",
        "Safari on iPhone",
    ]
    assert listed(browsers[-1])[0]["ip_address"] == OFFICE
    assert code_of(browsers[0], "/sessions/my-sessions") == "session_ended"


def test_step_1_sessions_are_forwarded_with_all_that_belongs_to_them(backend: str) -> None:
    desk, phone = log_in(backend, USER), log_in(backend, USER, user_agent=IPHONE)
    admin = log_in(backend, 1)

    listed_with = phone.get("/sessions/my-sessions?include_inactive=true&token=whatever")
    created = phone.call("POST", "/sessions/create", json={"device_name": "whatever"})
    wrong = phone.call("POST", "/sessions/create", body=b"{", headers={"Content-Type": "application/json"})
    large = phone.call("POST", "/sessions/create", body=b" " * 60_000, headers={"Content-Type": "application/json"})
    closed = desk.call("DELETE", "/sessions/logout-all?exclude_current=true")
    nobody = Browser(backend).get("/sessions/my-sessions")

    assert (listed_with.status, len(listed_with.json())) == (200, 2)
    assert created.headers["Location"] == f"/sessions/session/{created.json()['id']}"
    assert (wrong.status, wrong.json()["code"]) == (400, "invalid_json")
    assert (large.status, large.json()["code"]) == (413, "body_too_large")
    assert (closed.status, closed.json()["closed"]) == (200, 1)
    assert (nobody.status, nobody.headers["X-Session-Code"]) == (401, "token_missing")
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    for answer in (listed_with, created, wrong, large, closed, nobody):
        assert answer.headers.getlist("Access-Control-Allow-Origin") == [APP]
        assert "X-Session-Code" in answer.headers["Access-Control-Expose-Headers"]
        assert len(answer.headers["X-Request-ID"]) == 32
        assert answer.headers["Cache-Control"] == "no-store"
    assert [browser.get(f"/sessions/user/{USER}").status for browser in (admin, desk)] == [200, 403]
    assert desk.preflight("/sessions/logout", "DELETE").headers["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/../metrics",
        "/sessions/%2e%2e/metrics",
        "/sessions/..%2fhealthz",
        "/sessions/x/../../healthz",
        "/sessions/.",
    ],
)
def test_step_1_nothing_but_sessions_is_forwarded(backend: str, path: str) -> None:
    with socket.create_connection(("127.0.0.1", int(backend.rpartition(":")[2]))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.split()[1] == b"404"
    assert b"\r\nx-request-id:" not in answer.lower()  # so it is the backend's own


def test_step_1_a_frontend_that_calls_create_too_takes_no_second_place(backend: str) -> None:
    """It says the same of its device at the sign-in; else the two would be two devices."""
    device = {"device_fingerprint": "data:image/png;base64,iVBORw0KGgo", "device_type": "web"}
    browser = log_in(backend, USER, device=device)

    again = browser.call("POST", "/sessions/create", json=device)

    assert again.status == 201
    assert [one["id"] for one in listed(browser)] == [again.json()["id"]]


def test_step_1_a_caller_without_a_user_agent_does_not_look_like_the_backends_own_client(backend: str) -> None:
    with socket.create_connection(("127.0.0.1", int(backend.rpartition(":")[2]))) as connection:
        sent = "GET /grades HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n"
        connection.sendall(sent.format(make_token(74)).encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert b"session_unknown" in answer
    assert b"User-Agent" in answer.partition(b"detail")[2]


# Step 2: asked on every request


@pytest.fixture
def unlinked(servers: Servers, backend: str) -> Callable[..., Browser]:
    """Return a function that signs in where tokens have no `sid`, and has the frontend call `create` at the backend."""

    def sign_in(user_id: int, **kind: Any) -> Browser:
        wait_for_the_next_second()
        browser = at(backend, log_in(servers.today, user_id, **kind))
        assert browser.call("POST", "/sessions/create").status == 201
        return browser

    return sign_in


def test_step_2_an_ended_device_is_refused_on_its_next_request_and_told_why(
    backend: str, unlinked: Callable[..., Browser]
) -> None:
    desk, phone = unlinked(USER), unlinked(USER, user_agent=IPHONE)
    assert phone.get("/grades").json()["session_id"] == listed(phone)[0]["id"]

    throw_out(phone, by=desk)
    answer = phone.get("/grades")

    assert (answer.status, answer.headers["X-Session-Code"], answer.json()["end_reason"]) == (
        401,
        "session_ended",
        "revoked",
    )
    assert "from another one of your devices" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [APP]
    assert desk.get("/grades").status == 200


def test_step_2_a_refreshed_token_is_recognised_by_its_device(
    servers: Servers, backend: str, unlinked: Callable[..., Browser]
) -> None:
    home, office = unlinked(USER, address=HOME), unlinked(USER, address=OFFICE)
    ids = [browser.get("/grades").json()["session_id"] for browser in (home, office)]

    later = [at(backend, refresh(at(servers.today, browser))) for browser in (home, office)]
    assert [browser.get("/grades").json()["session_id"] for browser in later] == ids
    throw_out(home, by=office)

    assert [code_of(browser) for browser in later] == ["session_ended", 200]


def test_step_2_without_a_sid_cannot_stop_a_device_that_comes_back_in_other_clothes(
    servers: Servers, backend: str, unlinked: Callable[..., Browser]
) -> None:
    """Thrown out, it refreshes its token and calls as the user's other device does, or without a browser's name."""
    desk, phone = unlinked(USER), unlinked(USER, user_agent=IPHONE)
    throw_out(phone, by=desk)

    dressed_up = at(backend, refresh(replace(at(servers.today, phone), user_agent=desk.user_agent)))

    assert code_of(replace(dressed_up, user_agent=IPHONE)) == "session_ended"
    assert code_of(dressed_up) == 200
    assert code_of(replace(dressed_up, user_agent="curl/8.5.0")) == 200


def test_step_2_without_a_sid_cannot_stop_a_computer_on_another_network_while_its_like_is_in_use_there(
    servers: Servers, backend: str, unlinked: Callable[..., Browser]
) -> None:
    home, office = unlinked(USER, address=HOME), unlinked(USER, address=OFFICE)
    throw_out(home, by=office)

    moved = at(backend, refresh(replace(at(servers.today, home), address=OFFICE)))

    assert code_of(replace(moved, address=HOME)) == "session_ended"
    assert code_of(moved) == 200


def test_step_2_a_service_that_is_down_is_503_and_nobody_passes_but_where_reading_is_open(database_url: str) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(ExitStack())
        service = running.enter_context(service_on(database_url))
        backends = [stack.enter_context(example(name, **settings_of(service))) for name in FRAMEWORKS]
        browsers = [log_in(url, user_id) for url, user_id in zip(backends, (74, 75), strict=True)]
        assert [code_of(browser) for browser in browsers] == [200, 200]
        running.close()

        for browser in browsers:
            answer = browser.get("/grades")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.headers.getlist("Access-Control-Allow-Origin") == [APP]
            assert answer.json()["detail"]
            assert browser.get("/timetable").json() == {"user_id": claims_of(browser.token)["id"], "session_id": None}
            assert replace(browser, token="not.a.token").get("/timetable").status == 503
            assert browser.get("/sessions/my-sessions").status == 503
            for path, given in (("login", PASSWORD), ("refresh", "")):
                body = {"email": "user74@example.com", "password": given, "refresh_token": browser.refresh_token}
                assert browser.call("POST", f"/auth/{path}", json=body).status == 503


def test_step_2_a_service_that_hangs_is_503_within_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        for name in FRAMEWORKS:
            with example(name, **settings_of(url)) as backend:
                began = monotonic()
                assert Browser(backend, make_token(74)).get("/grades").status == 503
                assert monotonic() - began < 8


def test_step_2_many_ask_at_once_over_few_connections_and_are_told_apart(backend: str) -> None:
    """On a slow machine one may be past its deadline; none is ever taken for another."""
    browsers = {user_id: log_in(backend, user_id) for user_id in range(74, 84)}

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda user_id: (user_id, browsers[user_id].get("/grades")), [*browsers] * 10))

    answered = [(user_id, answer.json()["user_id"]) for user_id, answer in answers if answer.status == 200]
    assert {answer.status for _, answer in answers} <= {200, 503}
    assert len(answered) >= 50
    assert all(asked == told for asked, told in answered)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_step_2_the_address_is_one_through_the_gateway_and_through_the_backend(database_url: str, name: str) -> None:
    """The gateway calls the service for /sessions/*, the backend does to validate; both must tell the same address."""
    require_tool("nginx")
    with (
        service_on(database_url) as service,
        example(name, **settings_of(service, BEHIND_GATEWAY="true")) as behind,
        nginx_with(
            STEP_0_CONFIG, p8080=service.removeprefix("http://"), p8000=behind.removeprefix("http://")
        ) as gateway,
    ):
        browser = log_in(gateway, 74, address=HOME, forwarded_for="198.51.100.9")
        by_gateway = listed(browser)
        other = replace(browser, token=make_token(74, n=1))

        assert [one["ip_address"] for one in by_gateway] == [HOME]
        assert other.get("/grades").json()["session_id"] == by_gateway[0]["id"]


def test_step_2_what_a_caller_says_of_its_address_is_not_believed(backend: str) -> None:
    browser = log_in(backend, USER, address=HOME, forwarded_for="198.51.100.9")

    assert [one["ip_address"] for one in listed(browser)] == [HOME]


# Step 3: asked at the refresh, and a sid


def test_step_3_every_token_of_a_sign_in_has_its_sid(backend: str) -> None:
    browser = log_in(backend, USER)
    refreshed, other = refresh(browser), log_in(backend, USER, user_agent=IPHONE)

    sids = [claims_of(token)["sid"] for token in (browser.token, browser.refresh_token, refreshed.token)]

    assert len(set(sids)) == 1
    assert claims_of(other.token)["sid"] not in sids
    assert code_of(refreshed) == 200


def test_step_3_an_ended_session_is_refused_at_the_refresh(backend: str) -> None:
    desk, phone = log_in(backend, USER), log_in(backend, USER, user_agent=IPHONE)
    throw_out(phone, by=desk)

    answer = phone.call("POST", "/auth/refresh", json={"refresh_token": phone.refresh_token})

    assert (answer.status, answer.headers["X-Session-Code"]) == (401, "session_ended")
    assert "access_token" not in answer.json()
    assert code_of(refresh(desk)) == 200


def test_step_3_a_device_that_was_thrown_out_stays_out_wherever_and_as_whatever_it_comes(backend: str) -> None:
    desk, phone = log_in(backend, USER), log_in(backend, USER, user_agent=IPHONE, address=HOME)
    earlier = refresh(phone)
    throw_out(phone, by=desk)

    for kind in (
        {"user_agent": desk.user_agent},
        {"user_agent": "curl/8.5.0"},
        {"address": STREET},
        {"address": desk.address},
    ):
        for browser in (phone, earlier):
            assert code_of(replace(browser, **kind)) == "session_ended", kind
        disguised = replace(phone, **kind)
        answer = disguised.call("POST", "/auth/refresh", json={"refresh_token": phone.refresh_token})
        assert answer.status == 401, kind


def test_step_3_refresh_tokens_from_before_go_on_without_a_sid(backend: str, unlinked: Callable[..., Browser]) -> None:
    browser = unlinked(USER)

    refreshed = refresh(browser)

    assert "sid" not in claims_of(refreshed.token)
    assert refreshed.get("/grades").json()["session_id"] == listed(browser)[0]["id"]


def test_step_3_two_sign_ins_in_one_second_are_two(backend: str) -> None:
    home, office = (log_in(backend, USER, address=address) for address in (HOME, OFFICE))
    assert home.token != office.token

    assert home.call("DELETE", "/sessions/logout").status == 200

    assert [code_of(browser) for browser in (home, office)] == ["session_ended", 200]


def test_step_3_cannot_take_back_a_token_from_a_backend_that_does_not_ask(servers: Servers, backend: str) -> None:
    desk, phone = log_in(backend, USER), log_in(backend, USER, user_agent=IPHONE)
    throw_out(phone, by=desk)

    assert at(servers.today, phone).get("/user/me").status == 200


# Step 4: password changed, account disabled


def test_step_4_a_changed_password_signs_every_device_out(backend: str) -> None:
    browsers = [log_in(backend, USER), log_in(backend, USER, user_agent=IPHONE)]
    new = f"{PASSWORD} that is new"

    wrong = browsers[0].call("POST", "/auth/password", json={"password": "wrong", "new_password": "x"})
    changed = browsers[0].call("POST", "/auth/password", json={"password": PASSWORD, "new_password": new})

    assert (wrong.status, wrong.json(), changed.status) == (403, {"detail": "The password is wrong"}, 200)
    assert [code_of(browser) for browser in browsers] == ["session_ended"] * 2
    for browser in browsers:
        answer = browser.call("POST", "/auth/refresh", json={"refresh_token": browser.refresh_token})
        assert answer.status == 401
    again = log_in(backend, USER, password=new)
    assert code_of(again) == 200
    back = {"password": new, "new_password": PASSWORD}
    assert again.call("POST", "/auth/password", json=back).status == 200


def test_step_4_a_disabled_account_is_out_everywhere_and_cannot_come_back(backend: str) -> None:
    admin, browser = log_in(backend, 1), log_in(backend, DISABLED)
    assert browser.call("POST", f"/admin/disable/{DISABLED}").status == 403
    assert admin.call("POST", "/admin/disable/999").status == 404

    assert admin.call("POST", f"/admin/disable/{DISABLED}").status == 200
    assert admin.call("POST", f"/admin/disable/{DISABLED}").status == 200

    assert code_of(browser) == "session_ended"
    sign_in = {"email": f"user{DISABLED}@example.com", "password": PASSWORD}
    assert browser.call("POST", "/auth/login", json=sign_in).status == 401
    assert browser.call("POST", "/auth/refresh", json={"refresh_token": browser.refresh_token}).status == 401


def test_step_4_a_change_that_was_answered_503_is_repeated(database_url: str, backend: str) -> None:
    """Somebody else holds the table: the service can still say who is signed in, but cannot end anything."""
    browser = log_in(backend, USER)
    new = f"{PASSWORD} that is new"
    with psycopg.connect(database_url) as holder:
        holder.execute("LOCK TABLE sessions IN SHARE MODE")
        answer = browser.call("POST", "/auth/password", json={"password": PASSWORD, "new_password": new})
        assert (answer.status, code_of(browser)) == (503, 200)

    answer = browser.call("POST", "/auth/password", json={"password": PASSWORD, "new_password": new})

    assert (answer.status, code_of(browser)) == (200, "session_ended")
    again, back = log_in(backend, USER, password=new), {"password": new, "new_password": PASSWORD}
    assert again.call("POST", "/auth/password", json=back).status == 200


# The curl lines of the guide


GUIDE = (PROJECT / "docs" / "integration.md").read_text(encoding="utf-8")


def blocks(section: str) -> list[tuple[str, str]]:
    """Return the shell blocks of a section of the guide, each with the output that is shown below it."""
    text = GUIDE.partition(f"\n## {section}")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```\n(?:```json\n(.*?)```)?", text, re.S)


def type_in(sections: list[str], urls: dict[str, str]) -> list[tuple[str, str]]:
    """Run the shell blocks of these sections in one shell; return what each shows, and what the guide shows.

    *urls* stand in for the guide's own.
    """
    require_tool("curl")
    (helpers, _), *first = blocks("In 30 lines")
    shown = first if sections == ["In 30 lines"] else [one for section in sections for one in blocks(section)]
    script = "\nprintf '\\036'\n".join([helpers, *(code for code, _ in shown), ""])
    for ours, theirs in urls.items():
        assert ours in script
        script = script.replace(ours, theirs)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["bash", "-euc", script], env={"PATH": path, **DEMO}, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    outputs = ran.stdout.split("\x1e")[1:-1]
    return list(zip(outputs, [expected for _, expected in shown], strict=True))


def looks_like(output: str, expected: str) -> bool:
    """Return whether an output is as it is shown, where `…` stands for anything."""
    lines = [".*?".join(map(re.escape, line.split("…"))) for line in expected.splitlines()]
    return re.fullmatch(r"\s*".join(lines), output.strip(), re.S) is not None


def test_the_guide_shows_the_quick_start_as_it_is() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    lines = [line for line in shown.splitlines() if line]

    assert shown == (PROJECT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    assert len(lines) <= 30


def test_the_30_lines_bring_a_session_a_limit_and_a_sign_out(database_url: str) -> None:
    with (
        service_on(database_url, MAX_SESSIONS_PER_USER="1") as service,
        example("quickstart", **settings_of(service)) as backend,
    ):
        shown = type_in(["In 30 lines"], {"http://127.0.0.1:8000": backend})

    assert len(shown) == 3
    for output, expected in shown:
        assert looks_like(output, expected), output
    # So another answer would be noticed.
    assert not looks_like(shown[1][0], shown[0][1])


def test_the_curl_lines_of_every_step_show_what_the_guide_shows(servers: Servers, backend: str) -> None:
    steps = [f"Step {number}:" for number in range(5)]

    shown = type_in(steps, {"http://127.0.0.1:8088": servers.gateway, "http://127.0.0.1:8000": backend})

    assert len(shown) == len(steps)
    for output, expected in shown:
        assert expected
        assert looks_like(output, expected), output
