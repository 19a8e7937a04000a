"""Step 2 of `docs/integration.md`: a backend asks about the session on every request; and what that cannot do."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from tests.harness.browsers import APP, Browser
from tests.harness.examples import (
    FRAMEWORKS,
    HOME,
    OFFICE,
    PASSWORD,
    STEP_0_CONFIG,
    USER,
    Servers,
    at,
    backend_settings,
    code_of,
    listed,
    log_in,
    refresh,
    service_on,
    throw_out,
)
from tests.harness.nginx import nginx_with
from tests.harness.processes import wait_until
from tests.harness.reports import require_tool
from tests.harness.servers import example, samples
from tests.harness.support import IPHONE, make_token

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

ASKED = 'session_service_validations_total{outcome="active"}'


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
    assert "from another device" in answer.json()["detail"]
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


def wait_until_remembered(service: str, browser: Browser) -> Any:
    """Return what a route answers, once its backend does so without asking the service."""

    def asks() -> bool:
        before = samples(service).get(ASKED)
        assert browser.get("/grades").status == 200
        return samples(service).get(ASKED) != before

    wait_until(lambda: not asks(), "remembered")
    return browser.get("/grades").json()


def test_step_2_a_service_that_is_down_is_503_and_nobody_passes_but_where_reading_is_open(database_url: str) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(ExitStack())
        service = running.enter_context(service_on(database_url))
        backends = [stack.enter_context(example(name, **backend_settings(service))) for name in FRAMEWORKS]
        browsers = [log_in(url, user_id) for url, user_id in zip(backends, (74, 75), strict=True)]
        sessions = [wait_until_remembered(service, browser) for browser in browsers]
        running.close()

        for browser, session in zip(browsers, sessions, strict=True):
            wait_until(lambda one=browser: one.get("/grades").status == 503, "the lease is over")  # type: ignore[misc]
            answer = browser.get("/grades")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.headers.getlist("Access-Control-Allow-Origin") == [APP]
            assert answer.json()["detail"]
            assert browser.get("/timetable").json() == session
            assert replace(browser, token="not.a.token").get("/timetable").status == 503
            assert browser.get("/sessions/my-sessions").status == 503
            for path, given in (("login", PASSWORD), ("refresh", "")):
                body = {"email": "user74@example.com", "password": given, "refresh_token": browser.refresh_token}
                assert browser.call("POST", f"/auth/{path}", json=body).status == 503


def test_step_2_a_service_that_hangs_is_503_within_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        for name in FRAMEWORKS:
            with example(name, **backend_settings(url)) as backend:
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
        example(name, **backend_settings(service, BEHIND_GATEWAY="1")) as behind,
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
