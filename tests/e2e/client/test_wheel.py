"""The client library is installed by itself: as a wheel, and from its folder, into an environment with nothing else."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.harness.paths import PROJECT
from tests.harness.reports import note

USE = """
import importlib.util, sys
from session_client import ActiveSession, Caller
from session_client.testing import FakeService

service = FakeService()
client = service.client(remember=True)
assert client.check(Caller("Bearer " + service.sign_in(74), None, None)) == ActiveSession(74, 1)
client.close()
assert not [name for name in ("flask", "fastapi", "django", "session_service") if importlib.util.find_spec(name)]
print(sys.version_info[:2])
"""


def run(*command: str) -> str:
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd="/")
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.parametrize("way", ["wheel", "folder"])
def test_it_is_installed_and_used_where_nothing_else_is(tmp_path: Path, way: str) -> None:
    # A copy, so that building leaves nothing in the folder.
    source = tmp_path / "client"
    run("cp", "-r", str(PROJECT / "client"), str(source))
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "-q")
    if way == "wheel":
        run(sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "-w", str(tmp_path / "dist"), str(source))
        (wheel,) = (tmp_path / "dist").glob("session_service_client-*-py3-none-any.whl")
        run(*pip, "install", str(wheel))
    else:
        run(*pip, "install", str(source))

    run(python, "-W", "error", "-c", USE)
    installed = run(python, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze")
    names = {line.partition("==")[0].lower().replace("_", "-") for line in installed.splitlines() if "==" in line}
    of_httpx = {"anyio", "certifi", "exceptiongroup", "h11", "httpcore", "httpx", "idna", "typing-extensions"}
    assert {"httpx", "session-service-client"} <= names <= {*of_httpx, "session-service-client", "pip", "setuptools"}
    files = run(python, "-c", "import importlib.metadata as m; print(*m.files('session-service-client'))")
    assert "session_client/py.typed" in files
    note(f"{way}: {len(files.split())} files")
