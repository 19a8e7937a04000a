"""`make run`, as a stranger meets it: a copy of the project, a free port, and what it says to type."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port

PARTS = ("session_service", "migrations", "scripts", "wsgi.py", "gunicorn.conf.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what the project runs with, without any data."""
    for part in PARTS:
        source, target = PROJECT / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[str]:
    """Run what `make run` runs; give what it says once it listens."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "scripts/run_locally.py"],
        cwd=folder,
        env=environment_with(**settings, PORT=str(port), PYTHONDONTWRITEBYTECODE="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    said = ""
    try:
        assert process.stdout is not None
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, f"it ended early:\n{said}"
            said += line
        # The socket is there before the workers are, so a call waits for them.
        assert urllib3.request("GET", f"http://127.0.0.1:{port}/readyz", timeout=30).status == 200
        yield said
    finally:
        process.terminate()
        try:
            process.communicate(timeout=45)  # over the graceful timeout, for a worker that was just starting
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def typed(command: str) -> tuple[int, Any]:
    """Do what a printed `curl` line does; return the status and the JSON."""
    words = shlex.split(command)
    (url,) = [word for word in words if word.startswith("http")]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    name, value = words[words.index("-H") + 1].split(": ")
    response = urllib3.request(method, url, headers={name: value}, timeout=20)
    return response.status, response.json()


def test_the_lines_that_it_prints_work_and_a_second_run_keeps_the_data(copy: Path) -> None:
    with running(copy) as said:
        create, mine, as_admin, _, _ = re.findall(r"^curl .*$", said, re.M)
        created, listed, seen = typed(create), typed(mine), typed(as_admin)

    assert (created[0], created[1]["user_id"]) == (201, 74)
    assert (listed[0], [one["id"] for one in listed[1]]) == (200, [created[1]["id"]])
    assert (seen[0], [one["id"] for one in seen[1]]) == (200, [created[1]["id"]])

    with running(copy) as said:
        _, mine, _, sign_out, again = re.findall(r"^curl .*$", said, re.M)
        assert [one["id"] for one in typed(mine)[1]] == [created[1]["id"]]
        signed_out, (status, refused) = typed(sign_out), typed(again)

    assert signed_out == (200, {"success": True, "message": "Current session closed successfully"})
    assert (status, refused["code"], refused["end_reason"]) == (401, "session_ended", "logout")


@pytest.mark.parametrize("port", ["in use", "nonsense"])
def test_a_port_that_cannot_be_used_is_one_line_that_says_what_to_type(copy: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = str(taken.getsockname()[1]) if port == "in use" else port
        done = subprocess.run(
            [sys.executable, "scripts/run_locally.py"],
            cwd=copy,
            env=environment_with(PORT=given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r".*(make run PORT=9000|from 1 to 65535, not 'nonsense'\.)\n", done.stderr)
    assert not (copy / "instance" / "sessions.sqlite3").exists()


def test_the_lines_work_whatever_the_settings_ask_of_a_token(copy: Path) -> None:
    asked = {
        "JWT_ISSUER": "https://auth.example.com",
        "JWT_AUDIENCE": "sessions",
        "JWT_USER_ID_CLAIM": "uid",
        "JWT_ROLE_CLAIM": "realm.roles",
        "ADMIN_ROLES": "root",
        "USER_ID_TYPE": "string",
        "HOST": "no-such-host.invalid",
    }

    with running(copy, **asked) as said:
        statuses = [typed(line)[0] for line in re.findall(r"^curl .*$", said, re.M)]

    assert statuses == [201, 200, 200, 200, 401]


def test_the_secret_is_made_once_and_is_nobody_elses_to_read(copy: Path) -> None:
    with running(copy):
        pass
    secret = copy / "instance" / "development-secret"
    first = secret.read_text()
    with running(copy):
        pass

    assert len(first) >= 32
    assert secret.read_text() == first
    assert secret.stat().st_mode & 0o077 == 0
