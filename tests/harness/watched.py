"""A gunicorn whose processes are watched."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.processes import children, free_port, wait_until
from tests.harness.servers import gunicorn


class Watched:
    """A running gunicorn, by its address and the process id of its master."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    @property
    def workers(self) -> list[int]:
        return children(self.pid)


@contextmanager
def watched(database_url: str, folder: Path, arguments: str = "", **settings: str) -> Iterator[Watched]:
    """Serve the database; give the server by its address and process."""
    pid_file = folder / f"pid-{free_port()}"
    settings = {"MAX_SIGN_INS_PER_MINUTE": "0", "GUNICORN_CMD_ARGS": f"--pid {pid_file} {arguments}", **settings}
    with gunicorn(database_url, **settings) as url:
        server = Watched(url, int(pid_file.read_text()))
        workers = int(settings.get("WEB_CONCURRENCY", "2"))
        wait_until(lambda: len(server.workers) == workers, "all workers are there")
        yield server
