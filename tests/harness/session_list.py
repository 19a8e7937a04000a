"""A page of the application with `<session-list>` in it, in a real browser, and people who sign in."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, expect

from tests.harness.browsers import Browser as Caller
from tests.harness.node import node_modules
from tests.harness.support import CHROME, make_token

NOTED = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, sample }) =>
    window.violations.push(`${violatedDirective} ${blockedURI} ${sourceFile} ${sample}`));
"""
"""Collects violations of the page's policy: the browser's own console tells them in words that change."""

OpenList = Callable[..., "Shown"]
"""Opens the page with a device's token."""

_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """A user who signs in on several devices, through the gateway."""

    api: str
    user_id: int
    role: str | None = None

    def sign_in(self, user_agent: str = CHROME, *, address: str = "127.0.0.1", **claimed: str) -> "SignedInDevice":
        """Open a session by a token of its own."""
        token = make_token(self.user_id, n=next(_numbers), role=self.role)
        caller = Caller(self.api, token, address, user_agent)
        response = caller.call("POST", "/sessions/create", json=claimed)
        assert response.status == 201, response.data
        return SignedInDevice(caller, token, dict(response.json()))


@dataclass(frozen=True)
class SignedInDevice:
    """A device with a session."""

    caller: Caller
    token: str
    session: dict[str, Any]

    @property
    def id(self) -> int:
        return int(self.session["id"])

    def end(self, other: "SignedInDevice | None" = None) -> None:
        """Sign *other* out, or this device itself."""
        path = f"/sessions/session/{other.id}" if other else "/sessions/logout"
        assert self.caller.call("DELETE", path).status == 200

    def status(self) -> int:
        """Return what the service answers to this device."""
        return int(self.caller.get("/sessions/validate").status)


@dataclass(frozen=True)
class Shown:
    """The page, and the element in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Exceptions that nobody caught."""

    @property
    def element(self) -> Locator:
        return self.page.locator("session-list")

    @property
    def devices(self) -> Locator:
        return self.element.get_by_role("list", name="Your devices").get_by_role("listitem")

    @property
    def ended(self) -> Locator:
        return self.element.get_by_role("list", name="Signed out recently").get_by_role("listitem")

    @property
    def dialog(self) -> Locator:
        return self.element.get_by_role("dialog")

    @property
    def alert(self) -> Locator:
        return self.element.locator(".notice > div")

    def button(self, name: str) -> Locator:
        return self.element.get_by_role("button", name=name, exact=True)

    def names(self, *names: str) -> None:
        """Wait until these active devices are shown, in this order, and no others."""
        expect(self.devices.locator(".name")).to_have_text(names)

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what the element told the page."""
        return [(kind, detail) for kind, detail in self.page.evaluate("window.auth.events")]

    def set(self, **auth: object) -> None:
        """Change what the page says of tokens."""
        self.page.evaluate("auth => Object.assign(window.auth, auth)", auth)

    def refreshes(self) -> int:
        return int(self.page.evaluate("window.auth.refreshes"))

    def fits(self) -> bool:
        """Return whether nothing is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@contextmanager
def shown(
    browser: Browser, app: str, query: dict[str, str], *, path: str = "/session-list.html", **context: Any
) -> Iterator[Shown]:
    """Open the page in a browser of its own; at the end, it has violated no policy and thrown nothing."""
    with browser.new_context(locale="en-GB", timezone_id="UTC", **{"user_agent": CHROME, **context}) as its:
        its.add_init_script(NOTED)
        with another(its.new_page(), f"{app}{path}?{urlencode(query)}") as page:
            yield page


@contextmanager
def another(page: Page, url: str) -> Iterator[Shown]:
    """Open *url* in a page that is there already, with the same promise."""
    one = Shown(page)
    page.on("pageerror", lambda error: one.errors.append(str(error)))
    page.goto(url)
    yield one
    assert page.evaluate("window.violations") == []
    assert one.errors == []


def accessibility_findings(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page as it is shown: all of its rules, best practices too."""
    source = (node_modules("axe-core") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(source)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
    assert found["passes"], "it looked at nothing"
    return [
        f"{finding['id']}: {json.dumps([node['html'] for node in finding['nodes']])}" for finding in found["violations"]
    ]
