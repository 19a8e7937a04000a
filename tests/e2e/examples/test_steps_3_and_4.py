"""Steps 3 and 4 of `docs/integration.md`: asked at the refresh, and a `sid`; a changed password, a disabled account."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from tests.harness.browsers import Browser
from tests.harness.examples import (
    DISABLED,
    HOME,
    OFFICE,
    PASSWORD,
    STREET,
    USER,
    Servers,
    at,
    claims_of,
    code_of,
    listed,
    log_in,
    refresh,
    throw_out,
)
from tests.harness.support import IPHONE

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


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
