"""What people see, in a real browser: a page with their devices, which calls the API from another origin."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.harness.servers import Site, pages
from tests.harness.support import CHROME, EDGE, FIREFOX, IPHONE, make_token

# A page does not see which database there is; `test_gateway` calls the same servers on both.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

_numbers = count(1)


CHROME_WAS_SIGNED_OUT = "This device (Chrome on Windows 10) was signed out because"


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
        which = r"( That was on \d+ \w+ \d{4} at \d\d:\d\d UTC\.)?"
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
    first.shows(f"401: {CHROME_WAS_SIGNED_OUT} of a newer sign-in from Firefox on Linux: 3 devices are allowed.")
    fourth.click("My devices")
    fourth.shows("3 listed", *remaining)


def test_a_device_that_had_to_give_way_cannot_sign_in_again_by_the_same_token(sign_in: SignIn) -> None:
    first = sign_in(CHROME)
    for user_agent in (EDGE, IPHONE):
        sign_in(user_agent)
    fourth = sign_in(FIREFOX)

    first.click("Sign in")

    expect(first.message).to_contain_text(
        "401: This device (Chrome on Windows 10) was signed out because of a newer sign-in"
    )
    fourth.click("My devices")
    fourth.shows("3 listed", "Firefox on Linux", "Safari on iPhone", "Edge on Windows 10")


def test_a_device_ends_another_one(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    phone.end("Chrome on Windows 10")

    phone.shows("Session closed successfully", "Safari on iPhone")
    laptop.click("My devices")
    laptop.shows(f"401: {CHROME_WAS_SIGNED_OUT} you signed it out from another device.")


def test_a_device_that_ends_itself_is_signed_out(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    phone.end("Safari on iPhone")

    phone.shows("401: This device (Safari on iPhone) was signed out because you signed out on it.")
    laptop.click("My devices")
    laptop.shows("1 listed", "Chrome on Windows 10")


def test_signing_out_ends_this_device_alone_and_may_be_repeated(sign_in: SignIn) -> None:
    laptop = sign_in(CHROME)
    phone = sign_in(IPHONE)

    for _ in range(2):
        laptop.click("Sign out")
        laptop.shows("Current session closed successfully")

    laptop.click("My devices")
    laptop.shows(f"401: {CHROME_WAS_SIGNED_OUT} you signed out on it.")
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
