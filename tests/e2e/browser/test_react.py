"""The example for React, bundled as its `npm run build` does, with the real service on another origin."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.harness.node import node_modules, node_program
from tests.harness.paths import PROJECT
from tests.harness.servers import gunicorn, pages
from tests.harness.session_list import Person
from tests.harness.support import CHROME, IPHONE

EXAMPLE = PROJECT / "examples" / "react"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example's page and its script."""
    folder = tmp_path_factory.mktemp("react")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    package = folder / "node_modules" / "session-service-web"
    shutil.copytree(PROJECT / "client" / "web", package)
    shutil.copy(PROJECT / "session_service" / "ui" / "session-list.js", package)
    build = json.loads((folder / "package.json").read_text())["scripts"]["build"].split()
    where = str(node_modules("react-dom"))  # it brings react along
    command = [*node_program(build[0], "esbuild"), *build[1:]]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "NODE_PATH": where}, capture_output=True)
    return folder


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


def test_the_element_takes_five_lines_and_the_hook_thirty() -> None:
    element = (EXAMPLE / "src" / "Devices.jsx").read_text(encoding="utf-8").splitlines()
    hook = (EXAMPLE / "src" / "useSessions.js").read_text(encoding="utf-8").splitlines()

    assert len([line for line in element if line and not line.startswith("/**")]) == 4
    assert len(hook) <= 34
