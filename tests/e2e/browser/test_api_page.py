"""The page that documents the API, in a real browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from playwright.sync_api import Browser, Page, expect

from tests.harness.servers import Site
from tests.harness.support import make_token

# The page does not see which database there is.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


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
    expect(docs.page.locator(".opblock.is-open .responses-table")).to_have_count(operations)
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
