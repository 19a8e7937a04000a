"""What people see, in a real browser: the page that documents the API, and a page that calls it from another origin."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.harness.nginx import nginx
from tests.harness.reports import require_tool
from tests.harness.servers import gunicorn, pages
from tests.harness.support import CHROME, EDGE, FIREFOX, IPHONE, make_token

# The sandbox does not work as root; the rest keeps the browser from calling its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A page does not see which database there is; `test_gateway` calls the same servers on both.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

expect.set_options(timeout=15_000)

_numbers = count(1)


@dataclass(frozen=True)
class Site:
    """Where everything is: three origins."""

    app: str
    """The frontend's pages, of an origin that is allowed."""
    gateway: str
    service: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a real browser, one for all tests of this module; each device is a context of its own in it."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def start_site() -> Iterator[Callable[[str], Site]]:
    """Return a function that puts servers in front of a database, one set for all tests of this module."""
    require_tool("nginx")
    with ExitStack() as stack:

        @cache
        def start(database_url: str) -> Site:
            app = stack.enter_context(pages())
            service = stack.enter_context(gunicorn(database_url, TRUSTED_PROXY_HOPS="1", CORS_ALLOWED_ORIGINS=app))
            return Site(app, stack.enter_context(nginx(service)), service)

        yield start


@pytest.fixture
def site(database_url: str, start_site: Callable[[str], Site]) -> Site:
    """Return the servers, on a database without rows."""
    return start_site(database_url)


@dataclass(frozen=True)
class Device:
    """A browser that shows the frontend's page, with a token in it."""

    page: Page

    @property
    def message(self) -> Locator:
        return self.page.locator("#message")

    @property
    def names(self) -> Locator:
        return self.page.locator("#devices .name")

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def end(self, name: str) -> None:
        """End the device that is listed under *name*."""
        self.page.locator("#devices li", has_text=name).get_by_role("button", name="End").click()

    def shows(self, message: str, *names: str) -> None:
        """Wait until the page shows *message*, and the devices *names* in this order and no others.

        Of a session that has ended, the message goes on with which one it was, and since when.
        """
        which = r"( It was [\w ]+, on \d+ \w+ \d{4} at \d\d:\d\d UTC\.)?"
        expect(self.message).to_have_text(re.compile(f"^{re.escape(message)}{which}$"))
        expect(self.names).to_have_text(names)


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Device]]:
    """Return a function that opens the frontend's page in a browser with a user agent and a token of its own."""
    with ExitStack() as stack:

        def open_page(user_agent: str, token: str | None = None, *, origin: str = site.app) -> Device:
            context = stack.enter_context(browser.new_context(user_agent=user_agent))
            page = context.new_page()
            page.goto(f"{origin}/?{urlencode({'api': site.gateway})}")
            page.locator("#token").fill(make_token(74, n=next(_numbers)) if token is None else token)
            return Device(page)

        yield open_page


@pytest.fixture
def sign_in(open_page: Callable[..., Device]) -> Callable[[str], Device]:
    """Return a function that signs user 74 in on a browser."""

    def sign_in(user_agent: str) -> Device:
        device = open_page(user_agent)
        device.click("Sign in")
        expect(device.message).to_contain_text("Signed in on")
        return device

    return sign_in


OpenPage = Callable[..., Device]
SignIn = Callable[[str], Device]


# The frontend


def test_each_device_is_listed_as_its_owner_would_call_it(sign_in: SignIn) -> None:
    sign_in(CHROME)
    sign_in(EDGE)
    phone = sign_in(IPHONE)

    phone.shows("Signed in on Safari on iPhone", "Safari on iPhone", "Edge on Windows 10", "Chrome on Windows 10")
    expect(phone.page.locator("#devices .icon")).to_have_text(["📱", "💻 Edge", "💻 Chrome"])


def test_a_listed_device_has_the_time_of_its_last_use_and_the_address_that_the_gateway_saw(sign_in: SignIn) -> None:
    device = sign_in(CHROME)

    shown = device.page.locator("#devices time").get_attribute("datetime")

    last_activity = datetime.fromisoformat(shown or "")
    assert abs(datetime.now(UTC) - last_activity) < timedelta(minutes=1)
    expect(device.page.locator("#devices time")).not_to_have_text("Invalid Date")
    expect(device.page.locator("#devices .address")).to_have_text("127.0.0.1")


def test_a_fourth_sign_in_ends_the_first_device_which_is_told_by_whom(sign_in: SignIn) -> None:
    first = sign_in(CHROME)
    sign_in(EDGE)
    sign_in(IPHONE)

    fourth = sign_in(FIREFOX)

    remaining = ("Firefox on Linux", "Safari on iPhone", "Edge on Windows 10")
    fourth.shows("Signed in on Firefox on Linux", *remaining)
    first.click("My devices")
    first.shows(
        "401: This device was signed out because of a newer sign-in from Firefox on Linux: 3 devices are allowed."
    )
    fourth.click("My devices")
    fourth.shows("3 listed", *remaining)


def test_a_device_that_had_to_give_way_cannot_sign_in_again_by_the_same_token(sign_in: SignIn) -> None:
    first = sign_in(CHROME)
    for user_agent in (EDGE, IPHONE):
        sign_in(user_agent)
    fourth = sign_in(FIREFOX)

    first.click("Sign in")

    expect(first.message).to_contain_text("401: This device was signed out because of a newer sign-in")
    fourth.click("My devices")
    fourth.shows("3 listed", "Firefox on Linux", "Safari on iPhone", "Edge on Windows 10")


def test_a_device_ends_another_one(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    phone.end("Chrome on Windows 10")

    phone.shows("Session closed successfully", "Safari on iPhone")
    laptop.click("My devices")
    laptop.shows("401: This device was signed out from another one of your devices.")


def test_a_device_that_ends_itself_is_signed_out(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    phone.end("Safari on iPhone")

    phone.shows("401: This device was signed out.")
    laptop.click("My devices")
    laptop.shows("1 listed", "Chrome on Windows 10")


def test_signing_out_ends_this_device_alone_and_may_be_repeated(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    for _ in range(2):
        laptop.click("Sign out")
        laptop.shows("Current session closed successfully")

    laptop.click("My devices")
    laptop.shows("401: This device was signed out.")
    phone.click("My devices")
    phone.shows("1 listed", "Safari on iPhone")


def test_signing_out_without_a_token_closes_nothing_and_signing_in_again_takes_no_other_place(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    """So today's frontend signs out: its token is gone before the call leaves."""
    laptop = sign_in(CHROME)
    laptop.page.locator("#token").fill("")

    laptop.click("Sign out")

    laptop.shows("401: Sign in first: this request carried no access token.")
    again = open_page(CHROME)
    again.click("Sign in")
    again.shows("Signed in on Chrome on Windows 10", "Chrome on Windows 10")


def test_an_admin_sees_the_devices_of_a_user(open_page: OpenPage, sign_in: SignIn) -> None:
    sign_in(CHROME)
    sign_in(IPHONE)
    admin = open_page(FIREFOX, make_token(1, role="admin"))

    admin.page.locator("#user").fill("74")
    admin.click("Their devices")

    admin.shows("2 listed", "Safari on iPhone", "Chrome on Windows 10")
    admin.page.locator("#user").fill("75")
    admin.click("Their devices")
    admin.shows("0 listed")


def test_a_user_who_is_no_admin_reads_why_the_devices_of_another_are_not_shown(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    sign_in(CHROME)
    other = open_page(FIREFOX, make_token(75))

    other.page.locator("#user").fill("74")
    other.click("Their devices")

    other.shows("403: Only admins can view other users' sessions")


def test_a_page_can_read_that_a_session_does_not_exist(open_page: OpenPage) -> None:
    device = open_page(CHROME)

    device.page.locator("#session").fill("987654321")
    device.click("Show it")

    device.shows("404: Session not found")


def test_a_page_can_read_that_an_endpoint_does_not_exist(open_page: OpenPage) -> None:
    device = open_page(CHROME)

    device.page.locator("#session").fill("1/no-such-endpoint")
    device.click("Show it")

    device.shows("404: There is no such endpoint.")


def test_a_page_can_read_that_its_token_is_not_accepted(open_page: OpenPage) -> None:
    device = open_page(CHROME, make_token(74, exp=1))

    device.click("My devices")

    device.shows("401: The access token has expired. Refresh it or sign in again.")


def test_a_page_of_another_origin_can_neither_sign_in_nor_read(open_page: OpenPage, sign_in: SignIn) -> None:
    owner = sign_in(CHROME)
    with pages() as stranger:
        thief = open_page(FIREFOX, origin=stranger)
        for button in ("Sign in", "My devices", "Sign out"):
            thief.click(button)
            thief.shows("TypeError: Failed to fetch")

    owner.click("My devices")
    owner.shows("1 listed", "Chrome on Windows 10")


def test_no_cookie_is_ever_set(sign_in: SignIn) -> None:
    device = sign_in(CHROME)
    device.click("Sign out")
    device.shows("Current session closed successfully")

    assert device.page.context.cookies() == []


# The API's documentation


@dataclass(frozen=True)
class Docs:
    """The page at `/docs`, fully shown, and what it did to get there."""

    page: Page
    policy: str
    """Its Content-Security-Policy."""
    document: dict[str, Any]
    """What `/openapi.json` says, fetched without the browser."""
    requested: list[str]
    complaints: list[str]
    """Errors and warnings on the console, breaches of the policy among them, and exceptions."""


@pytest.fixture
def docs(browser: Browser, site: Site) -> Iterator[Docs]:
    """Return the documentation in a browser."""
    with urllib3.PoolManager() as http:
        document = http.request("GET", f"{site.service}/openapi.json").json()
    with browser.new_context() as context:
        page = context.new_page()
        requested: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        response = page.goto(f"{site.service}/docs")
        assert response is not None
        expect(page.locator(".opblock").first).to_be_visible()
        yield Docs(page, response.headers["content-security-policy"], document, requested, complaints)


def test_the_documentation_shows_every_operation_of_the_document(docs: Docs) -> None:
    documented = {
        (method.upper(), path)
        for path, item in docs.document["paths"].items()
        for method in item.keys() & {"get", "post", "delete", "put", "patch", "head"}
    }

    expect(docs.page.locator(".opblock")).to_have_count(len(documented))

    summaries = docs.page.locator(".opblock-summary").all()
    shown = {
        (
            summary.locator(".opblock-summary-method").inner_text(),
            summary.locator(".opblock-summary-path").get_attribute("data-path"),
        )
        for summary in summaries
    }
    assert ("POST", "/sessions/create") in documented
    assert shown == documented


def test_the_documentation_loads_nothing_from_another_host_and_the_browser_has_no_complaints(
    docs: Docs, site: Site
) -> None:
    operations = docs.page.locator(".opblock").count()
    docs.page.locator(".opblock-summary-control").evaluate_all("buttons => buttons.forEach(button => button.click())")
    expect(docs.page.locator(".opblock.is-open .responses-table")).to_have_count(operations, timeout=20_000)
    expect(docs.page.locator(".errors-wrapper")).to_have_count(0)

    assert docs.complaints == []
    hosts = {urlsplit(url).netloc for url in docs.requested if not url.startswith("data:")}
    assert hosts == {urlsplit(site.service).netloc}
    assert f"{site.service}/openapi.json" in docs.requested


def test_the_documentation_runs_no_script_but_its_own(docs: Docs, site: Site) -> None:
    directives = dict(directive.split(maxsplit=1) for directive in docs.policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "*" not in docs.policy
    assert "http" not in docs.policy

    docs.page.evaluate(
        """elsewhere => {
            for (const script of [{ textContent: "window.injected = true" }, { src: elsewhere + "/app.js" }])
                document.body.append(Object.assign(document.createElement("script"), script));
        }""",
        site.app,
    )
    reason = docs.page.evaluate("elsewhere => fetch(elsewhere).then(() => 'sent', String)", site.app)

    assert reason.startswith("TypeError: Failed to fetch")
    assert docs.page.evaluate("window.injected") is None
    refused = "\n".join(docs.complaints)
    assert "inline script" in refused
    assert f"{site.app}/app.js" in refused
    assert "connect-src" in refused


def test_the_documentation_calls_the_api_with_the_readers_token(docs: Docs) -> None:
    docs.page.get_by_role("button", name="Authorize").first.click()
    dialog = docs.page.locator(".modal-ux")
    dialog.get_by_role("textbox").first.fill(make_token(74))
    dialog.get_by_role("button", name="Apply credentials").first.click()
    dialog.get_by_role("button", name="Close").first.click()
    operation = docs.page.locator(".opblock", has=docs.page.locator('[data-path="/sessions/active-devices-count"]'))

    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()

    answer = operation.locator(".live-responses-table tbody tr").first
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(answer.locator(".highlight-code").first).to_contain_text('"max_devices": 3')
