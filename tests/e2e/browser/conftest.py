"""A real browser, and the servers that its pages come from: one set for all tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.harness.nginx import nginx
from tests.harness.reports import require_tool
from tests.harness.servers import Site, gunicorn, pages

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
            app = stack.enter_context(pages())
            service = stack.enter_context(gunicorn(database_url, TRUSTED_PROXY_HOPS="1", CORS_ALLOWED_ORIGINS=app))
            return Site(app, stack.enter_context(nginx(service)), service)

        yield start


@pytest.fixture
def site(database_url: str, start_site: Callable[[str], Site]) -> Site:
    """Return the servers, on a database without rows."""
    return start_site(database_url)
