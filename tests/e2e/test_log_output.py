"""The log of a real gunicorn: JSON lines, nothing secret in them, and lines for people at a terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import urllib3

from tests.harness.hostile import CREDENTIALS, RAW
from tests.harness.log_lines import ALWAYS, CHANGE, EVENTS, REQUEST, leaks
from tests.harness.paths import PROJECT
from tests.harness.processes import address_of, exchange
from tests.harness.reports import note
from tests.harness.servers import gunicorn
from tests.harness.support import SECRET, make_token


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_written_about_hostile_bytes_that_anybody_could_use(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with gunicorn(database_url, SERVICE_CREDENTIALS=f"backend:{CREDENTIALS['backend']}") as url:
        address = address_of(url)
        answers = b"".join(exchange(address, sent) for _, sent, _ in RAW.values())
    _, *lines = capsys.readouterr().out.splitlines()

    assert leaks("\n".join(lines)) == []
    assert leaks(answers.decode("latin-1").replace("WWW-Authenticate: Bearer ", "")) == []
    assert [line for line in lines if not EVENTS.fullmatch(json.loads(line)["event"])] == []
    unread = sum("could not be read" in line for line in lines)
    note(f"{len(RAW)} hostile requests over raw sockets: {unread} could not be read, {len(lines)} lines of log")
    assert unread >= 10


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_lines_are_json_and_carry_the_requests_id(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with gunicorn(database_url) as url:
        headers = {"Authorization": f"Bearer {make_token(74)}", "X-Request-ID": "mine-1"}
        assert urllib3.request("POST", f"{url}/sessions/create", headers=headers, timeout=10).status == 201
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:]]

    assert all(line.keys() >= ALWAYS for line in lines)
    mine = [line for line in lines if line.get("request_id") == "mine-1"]
    assert [line["event"] for line in mine] == ["session_created", "request"]
    assert mine[0].keys() == ALWAYS | CHANGE | {"request_id", "is_new_device"}
    assert mine[1].keys() == ALWAYS | REQUEST | {"request_id"}


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Give both ends of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_at_a_terminal_lines_are_for_people(database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET}
    say = "import logging, wsgi; logging.getLogger('session_service').info('session_ended', extra={'reason': 'limit'})"
    with terminal() as (ours, theirs):
        subprocess.run([sys.executable, "-c", say], cwd=PROJECT, env=environment, stderr=theirs, check=True)
        os.close(theirs)
        said = b""
        with suppress(OSError):  # Linux says so when nobody holds the other end any more
            while piece := os.read(ours, 4_096):
                said += piece

    words = re.sub(r"\x1b\[[\d;]*m", "", said.decode())
    assert re.search(r"\d info +session_ended +reason=limit", words)
    assert "{" not in words
