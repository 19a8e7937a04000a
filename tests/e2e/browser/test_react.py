"""The example for React, bundled as its `npm run build` does, with the real service on another origin."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from tests.harness.node import node_modules, node_program
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, wait_until
from tests.harness.servers import gunicorn, pages
from tests.harness.session_list import Person
from tests.harness.support import CHROME, IPHONE

EXAMPLE = PROJECT / "examples" / "react"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example's folder in a copy of what it needs, with its script."""
    project = tmp_path_factory.mktemp("react")
    for part in ("examples/react", "client/web", "session_service/ui"):
        ignored = shutil.ignore_patterns("node_modules", "app.js", "package-lock.json")
        shutil.copytree(PROJECT / part, project / part, ignore=ignored)
    folder = project / "examples" / "react"
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "session-service-web").symlink_to(project / "client" / "web")  # as npm does
    for package in ("react", "react-dom", "scheduler"):
        (folder / "node_modules" / package).symlink_to(node_modules("react-dom") / package)
    subprocess.run(script(folder, "build"), cwd=folder, check=True, capture_output=True)
    return folder


def script(folder: Path, name: str) -> list[str]:
    """Return the command of a script of the example's package; `start` is `build` with more options."""
    scripts = json.loads((folder / "package.json").read_text())["scripts"]
    build, more = scripts["build"].split(), scripts[name].removeprefix("npm run build -- ").split()
    return [*node_program(build[0], "esbuild"), *build[1:], *(more if name != "build" else ())]


@pytest.fixture
def origins(database_url: str, built: Path) -> Iterator[tuple[str, str]]:
    """Return the address of the example's page, and that of the service."""
    with pages(folder=built) as app, gunicorn(database_url, CORS_ALLOWED_ORIGINS=app) as service:
        yield app, service


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_element_and_the_hook_show_and_end_the_same_sessions(browser: Browser, origins: tuple[str, str]) -> None:
    app, service = origins
    person = Person(service, 76_000)
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    with browser.new_context(user_agent=CHROME, locale="en-GB") as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{app}/#{urlencode({'api': service, 'token': mine.token})}")
        own = page.locator("section", has=page.get_by_role("heading", name="Own markup")).last

        expect(page.locator("session-list .name")).to_have_text(["Chrome on Windows 10", "Safari on iPhone"])
        expect(own.get_by_role("listitem")).to_have_count(2)
        own.get_by_role("button", name="Sign out").click()
        expect(own.get_by_role("listitem")).to_have_text(["Chrome on Windows 10"])
        assert phone.status() == 401

        person.sign_in(IPHONE).end(mine)
        page.evaluate("document.querySelector('session-list').reload()")
        expect(page.locator("#ended")).to_have_text("Signed out: revoked")
        assert errors == []


def test_the_page_is_served_as_make_run_and_compose_say(built: Path) -> None:
    port = free_port()
    command = [*script(built, "start"), f"--serve=127.0.0.1:{port}"]
    server = subprocess.Popen(command, cwd=built, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: responds(f"http://127.0.0.1:{port}/app.js"), "esbuild serves the page")
        page = urllib3.request("GET", f"http://127.0.0.1:{port}/", timeout=20)
    finally:
        server.terminate()
        server.wait(20)

    assert (page.status, b'src="app.js"' in page.data) == (200, True)


def responds(url: str) -> bool:
    """Return whether something answers 200 there."""
    try:
        return urllib3.request("GET", url, timeout=20, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def test_the_element_takes_five_lines_and_the_hook_thirty() -> None:
    element = (EXAMPLE / "src" / "Devices.jsx").read_text(encoding="utf-8").splitlines()
    hook = (EXAMPLE / "src" / "useSessions.js").read_text(encoding="utf-8").splitlines()

    assert len([line for line in element if line and not line.startswith("/**")]) == 4
    assert len(hook) <= 34
