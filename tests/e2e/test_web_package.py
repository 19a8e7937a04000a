"""The npm package: what `npm pack` puts into it, and that bundlers, servers and type checkers can use it."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from session_service import __version__
from tests.harness.node import node_program
from tests.harness.paths import PROJECT
from tests.harness.reports import require_tool

USE = """
import { createSessionFetch, type GetToken } from "session-service-web/session-fetch.js";
import { SessionList } from "session-service-web/session-list.js";

const getToken: GetToken = async ({ refresh }) => (refresh ? null : "a token");
const sessionFetch = createSessionFetch({ getToken });
sessionFetch.events.addEventListener("session-ended", ({ detail }) => console.log(detail.end_reason?.length));
const list: SessionList = document.createElement("session-list");
list.getToken = sessionFetch.getToken;
list.words = { de: { title: "Ihre Geräte", summary: { one: "{count} Gerät", other: "{count} Geräte" } } };
list.addEventListener("signed-out", ({ detail }) => console.log(detail.ids.length, detail.others));
list.addEventListener("error", ({ detail }) => console.log(detail.code));
export const status: Promise<number> = sessionFetch("/sessions/my-sessions").then((answer) => answer.status);
"""
MISUSE = """
import "session-service-web/session-list.js";
import { createSessionFetch } from "session-service-web/session-fetch.js";
createSessionFetch({ getToken: async () => 7 });
document.createElement("session-list").timeout = "soon";
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that has the package, as `npm pack` makes it from a copy of the repository."""
    npm, folder = require_tool("npm"), tmp_path_factory.mktemp("npm")
    for part in ("client/web", "session_service/ui"):
        shutil.copytree(PROJECT / part, folder / "copy" / part)
    subprocess.run([npm, "pack", "--pack-destination", folder], cwd=folder / "copy" / "client" / "web", check=True)
    (archive,) = folder.glob("*.tgz")
    target = folder / "project" / "node_modules"
    target.mkdir(parents=True)
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    (target / "package").rename(target / "session-service-web")
    return target.parent


def test_the_package_has_its_modules_types_and_readme_and_nothing_else(installed: Path) -> None:
    package = installed / "node_modules" / "session-service-web"

    assert {file.name for file in package.iterdir()} == {
        "package.json",
        "README.md",
        "session-fetch.d.ts",
        "session-fetch.js",
        "session-list.d.ts",
        "session-list.js",
    }
    served = PROJECT / "session_service" / "ui" / "session-list.js"
    assert (package / "session-list.js").read_bytes() == served.read_bytes()
    described = json.loads((package / "package.json").read_text())
    assert "dependencies" not in described
    assert described["version"] == __version__.replace(".dev0", "")


def test_packing_leaves_nothing_behind(installed: Path) -> None:
    names = {file.name for file in (installed.parent / "copy" / "client" / "web").iterdir()}

    assert names == {file.name for file in (PROJECT / "client" / "web").iterdir()}
    assert "session-list.js" not in names


def test_both_modules_load_on_a_server_where_there_is_no_browser(installed: Path) -> None:
    script = """
        const { SessionList } = await import("session-service-web/session-list.js");
        const { createSessionFetch } = await import("session-service-web/session-fetch.js");
        console.log(typeof SessionList, typeof createSessionFetch);
    """
    node = require_tool("node")
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], cwd=installed, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["function", "function"]


@pytest.mark.parametrize(("code", "complaints"), [(USE, 0), (MISUSE, 2)], ids=["use", "misuse"])
def test_typescript_checks_how_they_are_used(installed: Path, code: str, complaints: int) -> None:
    (installed / "page.ts").write_text(code, encoding="utf-8")
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
    (installed / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [*node_program("tsc", "typescript"), *options, "page.ts"],
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout.count("error TS"), done.returncode == 0) == (complaints, complaints == 0), done.stdout


def test_session_fetch_stays_small() -> None:
    assert len((PROJECT / "client" / "web" / "session-fetch.js").read_text(encoding="utf-8").splitlines()) <= 65
