"""The steps of `docs/integration.md`, played with its examples, and what each step cannot do: tokens, steps 0 and 1.

Step 0 changes nothing but the gateway. With step 1 a backend calls `create` at the sign-in, and forwards `/sessions/*`.
"""

import socket
from time import time
from typing import Any

import pytest

from tests.harness.browsers import APP, Browser
from tests.harness.examples import (
    OFFICE,
    STREET,
    USER,
    Servers,
    claims_of,
    code_of,
    listed,
    log_in,
    log_in_within_one_second,
    refresh,
    throw_out,
    wait_for_the_next_second,
)
from tests.harness.support import FIREFOX, IPHONE, make_token

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


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
