"""Commands of the service: run within the test's process, or as a process of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen

from flask import Flask

from tests.harness.paths import PROJECT, STARTUP
from tests.harness.support import SECRET


def command(app: Flask, *words: str) -> tuple[int, str, str]:
    """Run `flask sessions …` within this process; return its exit code, its output and its complaints."""
    result = app.test_cli_runner().invoke(args=["sessions", *words])
    return result.exit_code, result.stdout, result.stderr


@contextmanager
def command_process(
    database_url: str, *words: str, stderr: int = DEVNULL, **environment: str
) -> Iterator[Popen[bytes]]:
    """Run `flask sessions …` as an operator does; the process is killed when the caller is done.

    A caller that passes PIPE as *stderr* must read it: a purge logs each end, and waits once the pipe is full.
    """
    given = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "PYTHONPATH": str(STARTUP), **environment}
    line = [sys.executable, "-m", "flask", "--app", "wsgi", "sessions", *words]
    with Popen(line, cwd=PROJECT, env=given, stdout=PIPE, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()
