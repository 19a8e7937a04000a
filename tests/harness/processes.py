"""Processes on this machine: run until a test is done, waited for, looked at, reached by raw sockets."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import urllib3

from tests.harness.paths import PROJECT

SECONDS_TO_START = 20
SECONDS_TO_STOP = 20


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.01)


def children(pid: int) -> list[int]:
    """Return the processes that *pid* started and that are still there, the oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, taken note of by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port of a server's URL, for raw sockets."""
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def exchange(address: tuple[str, int], sent: str) -> bytes:
    """Send these bytes (Latin-1) and nothing more; return all that comes back."""
    received = b""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65_536):
            received += piece
    return received


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    *,
    ready: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path = PROJECT,
    **as_whom: Any,
) -> Iterator[None]:
    """Run *command* until the caller is done; what it wrote is shown where a test fails.

    *as_whom* goes to `subprocess`, whose `user` and `group` make it somebody else's process.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **as_whom,
        )
        try:
            _wait_until_it_answers(process, ready)
            yield
        finally:
            _stop(process)
            output.seek(0)
            sys.stdout.write(f"--- what {' '.join(command)} wrote ---\n{output.read()}")


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = monotonic() + SECONDS_TO_START
    while not _answers(url):
        try:
            code = process.wait(0.05)
        except subprocess.TimeoutExpired:
            if monotonic() > deadline:
                raise AssertionError(f"no answer from {url} after {SECONDS_TO_START} s") from None
        else:
            raise AssertionError(f"the server ended with code {code} before it answered")


def _answers(url: str) -> bool:
    with urllib3.PoolManager(timeout=1, retries=False) as http:
        try:
            http.request("GET", url)
        except urllib3.exceptions.HTTPError:
            return False
        return True


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not stop within {SECONDS_TO_STOP} s of a SIGTERM") from None
