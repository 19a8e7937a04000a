"""Real servers for tests: gunicorn, nginx in front of it, and a place for web pages, each on a free loopback port.

Every one is a context manager that waits until its server answers, gives the server's base URL, and ends it again.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import urllib3

from session_service.config import Settings
from tests.conftest import require_tool
from tests.support import SECRET

PROJECT = Path(__file__).resolve().parent.parent
PAGES = Path(__file__).resolve().parent / "pages"

SECONDS_TO_START = 20
SECONDS_TO_STOP = 20
STOP_SOON = ("--graceful-timeout", "5")
"""A worker that is told to stop just after the fork has no handler for that yet, and is killed after this time."""

OURS = {setting.name for setting in fields(Settings)} | {
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "DRAIN_SECONDS",
    "PROMETHEUS_MULTIPROC_DIR",
}
"""Environment variables that mean something to the service: a test's server sees the test's alone."""

NGINX = PROJECT / "deploy" / "nginx"
NGINX_FOR_TESTS = """\
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
"""
"""What a test's nginx has beside the project's own files: it writes into the test's folder alone."""


@contextmanager
def gunicorn(
    database_url: str, *, app: str = "wsgi:app", code: str = str(PROJECT), **environment: str
) -> Iterator[str]:
    """Serve *app* of the *code* in a folder as in production, with two workers and the tests' secret.

    Settings are given by *environment*.
    """
    port = environment.get("PORT") or free_port()
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    given = {
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": SECRET,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "DRAIN_SECONDS": "0",
        **environment,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *STOP_SOON, app]
    url = f"http://127.0.0.1:{port}"
    with running(command, ready=f"{url}/healthz", environment={**inherited, **given}, cwd=Path(code)):
        yield url


@contextmanager
def nginx(*services: str, access_log: Path | None = None) -> Iterator[str]:
    """Run the project's gateway in front of *services*, the URLs of one or more that share the requests."""
    program, listen = require_tool("nginx"), f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="session-service-nginx-") as name:
        folder = Path(name)
        lay_out_nginx(folder, listen, services, access_log or folder / "access.log")
        # As one process, and so as whoever runs the tests: a worker of root's nginx could not read the folder.
        process = f"daemon off; master_process off; pid {folder}/nginx.pid;"
        command = [program, "-e", "stderr", "-p", name, "-c", str(folder / "nginx.conf"), "-g", process]
        with running(command, ready=f"http://{listen}/"):
            yield f"http://{listen}"


def lay_out_nginx(folder: Path, listen: str, services: Sequence[str], access_log: Path) -> None:
    """Write the project's files for nginx into *folder*, filled in as the official image does it."""
    servers = " ".join(f"server {service.removeprefix('http://')} max_fails=0;" for service in services)
    values = {"GATEWAY_LISTEN": listen, "GATEWAY_SERVERS": servers, "GATEWAY_ACCESS_LOG": str(access_log)}
    template = Template((NGINX / "session-service.conf.template").read_text(encoding="utf-8"))
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "default.conf").write_text(template.safe_substitute(values), encoding="utf-8")
    (folder / "conf.d" / "tests.conf").write_text(NGINX_FOR_TESTS.format(folder=folder), encoding="utf-8")
    shutil.copy(NGINX / "nginx.conf", folder)


@contextmanager
def nginx_with(config: Path, **addresses: str) -> Iterator[str]:
    """Run nginx with a file for its `http` context; *addresses* stand in for its own (`p8080="host:port"`)."""
    program, listen = require_tool("nginx"), f"127.0.0.1:{free_port()}"
    text = config.read_text(encoding="utf-8")
    for port, address in {"p8088": listen, **addresses}.items():
        assert f"127.0.0.1:{port[1:]}" in text
        text = text.replace(f"127.0.0.1:{port[1:]}", address)
    with tempfile.TemporaryDirectory(prefix="session-service-nginx-") as folder:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        main = Path(folder, "nginx.conf")
        main.write_text(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {places}\n{text} }}",
            encoding="utf-8",
        )
        with running([program, "-e", "stderr", "-p", folder, "-c", str(main)], ready=f"http://{listen}/_session"):
            yield f"http://{listen}"


@contextmanager
def example(name: str, **environment: str) -> Iterator[str]:
    """Serve `app` of a module of `examples/` as its first lines say: with uvicorn, or Flask's with gunicorn."""
    port = free_port()
    inherited = {key: value for key, value in os.environ.items() if key not in OURS}
    if name.startswith("flask"):
        # Configured by a module without settings: gunicorn would take up the service's file, which is in this folder.
        command = ["gunicorn", "--config", "python:examples", "--no-control-socket", "--threads", "8", *STOP_SOON]
        command += ["--bind", f"127.0.0.1:{port}"]
    else:
        command = ["uvicorn", "--no-proxy-headers", "--no-access-log", "--port", str(port)]
    with running(
        [sys.executable, "-m", *command, f"examples.{name}:app"],
        ready=f"http://127.0.0.1:{port}/",
        environment={**inherited, "JWT_SECRET_KEY": SECRET, **environment},
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def pages() -> Iterator[str]:
    """Serve the files of `tests/pages`, and with them an origin of their own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(PAGES))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class's parameter
        """Say nothing."""


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
