"""Real servers: gunicorn with the service, a backend of `examples/`, and web pages, each on a free loopback port.

Each function is a context manager that waits until its server answers, gives its base URL, and stops it at the end.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

from tests.harness.environment import environment_with
from tests.harness.paths import PAGES, PROJECT
from tests.harness.processes import free_port, running, wait_until
from tests.harness.support import SECRET

STOP_SOON = ("--graceful-timeout", "5")
"""A worker that is told to stop just after the fork has no handler for that yet, and is killed after this time."""


@contextmanager
def gunicorn(database_url: str, *, app: str = "wsgi:app", code: str = str(PROJECT), **settings: str) -> Iterator[str]:
    """Serve *app* of the *code* in a folder as in production, with two workers and the tests' secret.

    *settings* are variables of the server's environment.
    """
    port = settings.get("PORT") or str(free_port())
    given = {
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": SECRET,
        "HOST": "127.0.0.1",
        "PORT": port,
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *STOP_SOON, app]
    url = f"http://127.0.0.1:{port}"
    with running(command, ready=f"{url}/healthz", environment=environment_with(**given), cwd=Path(code)):
        if code == str(PROJECT):
            wait_for_workers(url, int(given["WEB_CONCURRENCY"]), int(given.get("DATABASE_CONNECTIONS", "6")))
        yield url


CONNECTIONS = "session_service_database_connections_max"


def samples(url: str) -> dict[str, float]:
    """Return the metrics of a server, which one of its workers gives for all of them; none if that fails."""
    with urllib3.PoolManager(timeout=30) as http:
        answer = http.request("GET", f"{url}/metrics")
    lines = answer.data.decode().splitlines() if answer.status == 200 else []
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def wait_for_workers(url: str, workers: int = 2, connections: int = 6) -> None:
    """Wait until all workers of a server serve: each adds its most *connections* to a metric when it begins to.

    A load that begins earlier meets fewer workers, and a worker that is stopped earlier is waited for in vain. While a
    worker makes its file of metrics, the others cannot read it, and answer 500.
    """
    wait_until(lambda: samples(url).get(CONNECTIONS) == workers * connections, f"{workers} workers serve")


@contextmanager
def fleet(database_url: str, **settings: str) -> Iterator[list[str]]:
    """Serve one database from a gunicorn with two workers and a second one with one more; give their URLs."""
    settings = {"MAX_SIGN_INS_PER_MINUTE": "0", **settings}
    with gunicorn(database_url, **settings) as first, gunicorn(database_url, **settings, WEB_CONCURRENCY="1") as second:
        yield [first, second]


@contextmanager
def faulty(database_url: str, fault: str, arguments: str = "", **settings: str) -> Iterator[list[str]]:
    """Serve the database from a gunicorn with two workers and a fault; give its URL."""
    settings = {"MAX_SIGN_INS_PER_MINUTE": "0", **settings}
    # Loaded once for both workers: half of the time that such a test takes would be their start.
    arguments = f"--preload {arguments}"
    with gunicorn(
        database_url, app="tests.harness.faulty:app", FAULT=fault, GUNICORN_CMD_ARGS=arguments, **settings
    ) as url:
        yield [url]


@contextmanager
def example(name: str, **settings: str) -> Iterator[str]:
    """Serve `app` of a module of `examples/` as its first lines say: with uvicorn, or Flask's with gunicorn."""
    port = free_port()
    if name.startswith("flask"):
        # Configured by a module without settings: gunicorn would take up the service's file, which is in this folder.
        command = ["gunicorn", "--config", "python:examples", "--no-control-socket", "--threads", "8", *STOP_SOON]
        command += ["--bind", f"127.0.0.1:{port}"]
    else:
        command = ["uvicorn", "--no-proxy-headers", "--no-access-log", "--port", str(port)]
    with running(
        [sys.executable, "-m", *command, f"examples.{name}:app"],
        ready=f"http://127.0.0.1:{port}/",
        environment=environment_with(**{"JWT_SECRET_KEY": SECRET, **settings}),
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def pages(policies: Mapping[str, str] | None = None, folder: Path = PAGES) -> Iterator[str]:
    """Serve the files of a folder, and with them an origin of their own.

    *policies* has the Content-Security-Policy of each path that has one; it is read at each request.
    """
    handler = partial(_QuietHandler, directory=str(folder), policies={} if policies is None else policies)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, policies: Mapping[str, str], **kwargs: Any) -> None:
        self._policies = policies
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        """Send the path's policy, too."""
        if policy := self._policies.get(self.path.partition("?")[0]):
            self.send_header("Content-Security-Policy", policy)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class's parameter
        """Say nothing."""


@dataclass(frozen=True)
class Site:
    """Where everything is: three origins."""

    app: str
    """The frontend's pages, of an origin that is allowed."""
    gateway: str
    service: str
