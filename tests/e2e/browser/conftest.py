"""A real browser, and the servers that its pages come from: one set for all tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.harness.console import OpenConsole
from tests.harness.nginx import nginx
from tests.harness.reports import require_tool
from tests.harness.servers import Site, gunicorn, pages
from tests.harness.session_list import NOTED, OpenList, Person, Shown, SignedInDevice, shown

_users = count(75_000)

expect.set_options(timeout=60_000)

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


def strict_policy(service: str) -> str:
    """Return the strictest policy under which a page can show the element.

    Scripts come from the page's own origin and the service. Calls may go to any port of this machine, where tests have
    services that are slow or dead.
    """
    return (
        f"default-src 'none'; script-src 'self' {service}; connect-src http://127.0.0.1:*; "
        "style-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start a real browser, one for all tests of this folder; each device is a context of its own in it."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def start_site() -> Iterator[Callable[[str], Site]]:
    """Return a function that puts servers in front of a database, one set for all tests of this folder."""
    require_tool("nginx")
    with ExitStack() as stack:

        @cache
        def start(database_url: str) -> Site:
            policies: dict[str, str] = {}
            app = stack.enter_context(pages(policies))
            service = stack.enter_context(
                gunicorn(database_url, TRUSTED_PROXY_HOPS="1", CORS_ALLOWED_ORIGINS=app, MAX_SIGN_INS_PER_MINUTE="60")
            )
            gateway = stack.enter_context(nginx(service))
            policies["/session-list.html"] = strict_policy(gateway)
            return Site(app, gateway, service)

        yield start


@pytest.fixture
def site(database_url: str, start_site: Callable[[str], Site]) -> Site:
    """Return the servers, on a database without rows."""
    return start_site(database_url)


@pytest.fixture
def person(site: Site) -> Person:
    """Return a user whom no other test knows."""
    return Person(site.gateway, next(_users))


@pytest.fixture
def open_list(browser: Browser, site: Site) -> Iterator[OpenList]:
    """Return a function that opens the page with a device's token."""
    with ExitStack() as stack:

        def open_list(
            device: SignedInDevice | None, lang: str = "en", token: str = "", api: str = site.gateway, **context: Any
        ) -> Shown:
            query = {"api": api, "module": site.gateway, "lang": lang, "token": device.token if device else token}
            return stack.enter_context(shown(browser, site.app, query, **context))

        yield open_list


@pytest.fixture
def open_console(browser: Browser, site: Site) -> Iterator[OpenConsole]:
    """Return a function that opens the console; at the end it has violated no policy and thrown nothing."""
    opened: list[Page] = []
    errors: list[str] = []
    with ExitStack() as stack:

        def open_console(fragment: str = "", **context: Any) -> Page:
            its = stack.enter_context(browser.new_context(locale="en-GB", timezone_id="UTC", **context))
            its.add_init_script(NOTED)
            page = its.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{site.gateway}/console{fragment}")
            opened.append(page)
            return page

        yield open_console
        for page in opened:
            assert page.evaluate("window.violations") == []
        assert errors == []
