"""The npm package's `session-fetch.js` in a real browser, against the real service on another origin."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.harness.paths import PROJECT
from tests.harness.servers import Site
from tests.harness.support import CHROME, IPHONE, make_token

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

MODULE = PROJECT / "client" / "web" / "session-fetch.js"
EXPIRED = make_token(74_500, exp=1)


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """Return a page of the application's origin, with `sessionFetch` in it."""
    context = browser.new_context(user_agent=CHROME)
    page = context.new_page()
    page.route("**/session-fetch.js", lambda route: route.fulfill(path=MODULE))
    page.goto(f"{site.app}/session-fetch.html")
    page.wait_for_function("document.title === 'ready'")
    yield page
    context.close()


@pytest.fixture
def run(page: Page, site: Site) -> Callable[[str], Any]:
    """Return a function that runs JavaScript in the page, in which `api` is the gateway's address."""
    return lambda script: page.evaluate(f"async () => {{ const api = '{site.gateway}'; {script} }}")


def give(page: Page, token: str | None, *following: str) -> None:
    page.evaluate("([token, next]) => Object.assign(window.auth, { token, next })", [token, list(following)])


def auth(page: Page) -> dict[str, Any]:
    state: dict[str, Any] = page.evaluate("window.auth")
    return state


LIST = "(await sessionFetch(`${api}/sessions/my-sessions`))"


def test_a_valid_token_is_sent_and_nothing_is_refreshed(page: Page, run: Callable[[str], Any]) -> None:
    give(page, make_token(74_501))

    assert run(f"return {LIST}.status") == 200
    assert auth(page)["refreshes"] == 0


def test_ten_calls_that_meet_an_expired_token_refresh_it_once(page: Page, run: Callable[[str], Any]) -> None:
    give(page, EXPIRED, make_token(74_502), "a second refresh")

    statuses = run(f"return Promise.all(Array.from({{ length: 10 }}, async () => {LIST}.status))")

    assert statuses == [200] * 10
    assert auth(page)["refreshes"] == 1


def test_a_call_whose_token_was_refreshed_meanwhile_takes_that_one(page: Page, run: Callable[[str], Any]) -> None:
    fresh = make_token(74_503)
    give(page, EXPIRED)

    call = "const call = sessionFetch(`${api}/sessions/my-sessions`);"
    status = run(f"{call} window.auth.token = '{fresh}'; return (await call).status")

    assert status == 200
    assert auth(page)["refreshes"] == 0


@pytest.mark.parametrize(
    ("token", "code"),
    [(EXPIRED, "token_expired"), ("nonsense", "token_invalid"), (None, "token_missing")],
    ids=["the refresh is refused", "no token at all", "no token"],
)
def test_what_a_refresh_cannot_mend_is_returned_as_it_is(
    page: Page, run: Callable[[str], Any], token: str | None, code: str
) -> None:
    give(page, token)

    assert run(f"const answer = {LIST}; return [answer.status, (await answer.json()).code]") == [401, code]
    assert auth(page)["refreshes"] == (1 if code == "token_expired" else 0)
    assert auth(page)["signedOut"] == []


def test_a_token_that_is_expired_again_is_not_refreshed_twice_for_one_call(
    page: Page, run: Callable[[str], Any]
) -> None:
    give(page, EXPIRED, make_token(74_504, exp=2), "another")

    assert run(f"return {LIST}.status") == 401
    assert auth(page)["refreshes"] == 1


def test_an_ended_session_is_told_once_with_the_reason_in_words(
    page: Page, run: Callable[[str], Any], browser: Browser, site: Site
) -> None:
    mine, other = make_token(74_505, n=1), make_token(74_505, n=2)
    give(page, mine)
    session_id = run("return (await (await sessionFetch(`${api}/sessions/create`, { method: 'POST' })).json()).id")
    phone = browser.new_context(user_agent=IPHONE).new_page()
    phone.goto(f"{site.app}/index.html")
    ended = phone.evaluate(
        """async ([api, id, token]) => (await fetch(`${api}/sessions/session/${id}`, {
            method: "DELETE", headers: { Authorization: `Bearer ${token}` } })).status""",
        [site.gateway, session_id, other],
    )

    statuses = run(f"return Promise.all([1, 2, 3].map(async () => {LIST}.status))")
    (problem,) = auth(page)["signedOut"]

    assert ended == 200
    assert statuses == [401] * 3
    assert (problem["code"], problem["end_reason"]) == ("session_ended", "revoked")
    assert problem["detail"].startswith("This device (Chrome on Windows 10) was signed out because you signed it out ")
    assert auth(page)["refreshes"] == 0


def test_body_method_and_headers_are_sent_again_with_the_fresh_token(page: Page, run: Callable[[str], Any]) -> None:
    for number, call in enumerate(
        (
            "sessionFetch(`${api}/sessions/create`, INIT)",
            "sessionFetch(new Request(`${api}/sessions/create`, INIT))",
        )
    ):
        give(page, EXPIRED, make_token(74_506 + number))
        init = "{ method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(BODY) }"

        assert run(f"const BODY = {{ browser: 'X' }}; const INIT = {init}; return (await {call}).status") == 201
