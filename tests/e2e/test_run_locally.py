"""`make run`, as a stranger meets it: a copy of the project, a free port, and what it says to type."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import urllib3

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.processes import SECONDS_TO_STOP, free_port
from tests.harness.servers import wait_for_workers

SECRET_FILE = Path("instance", "development-secret")
PARTS = ("session_service", "migrations", "scripts", "wsgi.py", "gunicorn.conf.py")


def copy_project(folder: Path) -> Path:
    """Copy what the project runs with, without any data, into *folder*; return the folder."""
    for part in PARTS:
        source, target = PROJECT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[str]:
    """Run what `make run` runs; give what it says, once all workers serve."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "scripts/run_locally.py"],
        cwd=folder,
        env=environment_with(**settings, PORT=str(port)),
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
        wait_for_workers(f"http://127.0.0.1:{port}")
        yield said
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS_TO_STOP)


def typed(command: str) -> tuple[int, Any]:
    """Do what a printed `curl` line does; return the status and the JSON."""
    words = shlex.split(command)
    (url,) = [word for word in words if word.startswith("http")]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    name, value = words[words.index("-H") + 1].split(": ")
    response = urllib3.request(method, url, headers={name: value}, timeout=20)
    return response.status, response.json()


@dataclass(frozen=True)
class Run:
    """What the lines that a run printed were answered, and the secret that was there meanwhile."""

    created: tuple[int, Any]
    listed: tuple[int, Any]
    seen_by_admin: tuple[int, Any]
    secret: str
    signed_out: tuple[int, Any] | None = None
    tried_again: tuple[int, Any] | None = None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project."""
    return copy_project(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def first(folder: Path) -> Run:
    """Run the copy for the first time."""
    with running(folder) as said:
        create, mine, as_admin, _, _ = re.findall(r"^curl .*$", said, re.M)
        return Run(typed(create), typed(mine), typed(as_admin), (folder / SECRET_FILE).read_text())


@pytest.fixture(scope="module")
def second(first: Run, folder: Path) -> Run:
    """Run the copy again; sign nobody in, but the device out."""
    with running(folder) as said:
        _, mine, as_admin, sign_out, again = re.findall(r"^curl .*$", said, re.M)
        secret = (folder / SECRET_FILE).read_text()
        return Run(first.created, typed(mine), typed(as_admin), secret, typed(sign_out), typed(again))


def test_the_lines_that_it_prints_work_and_a_second_run_keeps_the_data(first: Run, second: Run) -> None:
    status, created = first.created

    assert (status, created["user_id"]) == (201, 74)
    for answered, sessions in (first.listed, first.seen_by_admin, second.listed, second.seen_by_admin):
        assert (answered, [one["id"] for one in sessions]) == (200, [created["id"]])


def test_the_last_two_lines_show_a_sign_out_and_what_it_means(second: Run) -> None:
    assert second.signed_out == (200, {"success": True, "message": "Current session closed successfully"})
    assert second.tried_again
    status, refused = second.tried_again
    assert (status, refused["code"], refused["end_reason"]) == (401, "session_ended", "logout")


def test_the_secret_is_made_once_and_is_nobody_elses_to_read(first: Run, second: Run, folder: Path) -> None:
    assert len(first.secret) >= 32
    assert second.secret == first.secret
    assert (folder / SECRET_FILE).stat().st_mode & 0o077 == 0


def test_the_lines_work_whatever_the_settings_ask_of_a_token(tmp_path: Path) -> None:
    asked = {
        "JWT_ISSUER": "https://auth.example.com",
        "JWT_AUDIENCE": "sessions",
        "JWT_USER_ID_CLAIM": "uid",
        "JWT_ROLE_CLAIM": "realm.roles",
        "ADMIN_ROLES": "root",
        "USER_ID_TYPE": "string",
        "HOST": "no-such-host.invalid",
    }

    with running(copy_project(tmp_path), **asked) as said:
        statuses = [typed(line)[0] for line in re.findall(r"^curl .*$", said, re.M)]

    assert statuses == [201, 200, 200, 200, 401]


def test_the_page_in_react_may_call_with_the_address_that_is_printed(tmp_path: Path) -> None:
    with running(copy_project(tmp_path)) as said:
        (address,) = re.findall(r"^(http://\S+/#api=\S+)$", said, re.M)
        origin, _, fragment = address.partition("/#")
        given = dict(parse_qsl(fragment))
        headers = {"Authorization": f"Bearer {given['token']}", "Origin": origin}
        answer = urllib3.request("GET", f"{given['api']}/sessions/my-sessions", headers=headers, timeout=20)

    assert "npm start" in said
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert len(answer.json()) == 4


@pytest.mark.parametrize("port", ["in use", "nonsense"])
def test_a_port_that_cannot_be_used_is_one_line_that_says_what_to_type(tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = str(taken.getsockname()[1]) if port == "in use" else port
        done = subprocess.run(
            [sys.executable, "scripts/run_locally.py"],
            cwd=copy_project(tmp_path),
            env=environment_with(PORT=given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r".*(make run PORT=9000|from 1 to 65535, not 'nonsense'\.)\n", done.stderr)
    assert not (tmp_path / "instance" / "sessions.sqlite3").exists()
