"""`webhooks deliver` as people see it: progress at a terminal, and what goes wrong before it begins."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.support import SECRET
from tests.harness.webhooks import WEBHOOK_SECRET, entry, receiving, write_file

LINE = [sys.executable, "-m", "flask", "--app", "wsgi", "webhooks", "deliver"]


def test_the_progress_is_shown_at_a_terminal(database_url: str, tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    with receiving() as receiver:
        file = write_file(tmp_path, entry(receiver, "mail"))
        environment = environment_with(DATABASE_URL=database_url, JWT_SECRET_KEY=SECRET, WEBHOOKS=file)
        with subprocess.Popen(LINE, cwd=PROJECT, env=environment, stdout=end, stderr=subprocess.DEVNULL) as process:
            os.close(end)
            shown = os.read(terminal, 1_000).decode()  # comes after a second
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    os.close(terminal)

    assert "mail: 0 sent, 0 failed, 0 parked" in shown


def test_a_file_that_cannot_be_used_stops_the_start_and_shows_no_secret(database_url: str, tmp_path: Path) -> None:
    file = write_file(tmp_path, {"name": "mail", "url": "http://app.example/", "secret": WEBHOOK_SECRET, "x": 1})
    environment = environment_with(DATABASE_URL=database_url, JWT_SECRET_KEY=SECRET, WEBHOOKS=file)

    done = subprocess.run(LINE, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "WEBHOOKS endpoints[0].x Unknown field." in done.stderr
    assert WEBHOOK_SECRET not in done.stderr + done.stdout
