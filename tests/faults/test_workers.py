"""Workers end, are killed, recycled and replaced; servers drain and are restarted: nothing is lost or refused."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest
import urllib3

from tests.harness.outage import calling
from tests.harness.paths import PROJECT
from tests.harness.processes import is_gone, wait_until
from tests.harness.reports import note
from tests.harness.servers import CONNECTIONS, gunicorn, samples
from tests.harness.support import CHROME, SECRET, make_token
from tests.harness.watched import Watched, watched


def ask(url: str, number: int) -> None:
    """Let requests arrive, each by a connection of its own, so that all workers get some."""
    token = make_token(74)
    for _ in range(number):
        with urllib3.PoolManager(timeout=10) as http:
            headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME}
            assert http.request("GET", f"{url}/sessions/active-devices-count", headers=headers).status == 200


ASKED = 'session_service_request_seconds_count{method="GET",route="/sessions/active-devices-count",status="200"}'


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_workers_count_adds_up_and_outlives_them(database_url: str, tmp_path: Path) -> None:
    with watched(database_url, tmp_path, DATABASE_CONNECTIONS="5") as server:
        ask(server.url, 60)
        first, second = server.workers
        before = samples(server.url)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(server.workers) == 2 and first not in server.workers, "there is a new worker")
        wait_until(lambda: samples(server.url)[CONNECTIONS] == 10, "it serves")
        ask(server.url, 40)
        after = samples(server.url)
        files = {int(pid) for pid in re.findall(r"_(\d+)\.db", " ".join(os.listdir(metrics_folder(second))))}

    assert before[ASKED] == 60
    assert after[ASKED] == 100
    assert before[CONNECTIONS] == after[CONNECTIONS] == 10
    assert {first, second} <= files, "both workers had counted something of their own"
    note("100 requests to three workers, of whom one was killed: 100 counted")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_command_with_the_servers_environment_does_not_count_for_it(database_url: str, tmp_path: Path) -> None:
    place = tmp_path / "metrics"
    place.mkdir()
    environment = {**os.environ, "DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET}
    with watched(database_url, tmp_path, PROMETHEUS_MULTIPROC_DIR=str(place)) as server:
        before = samples(server.url)[CONNECTIONS]
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "sessions", "list", "74"]
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(place)
        subprocess.run(command, cwd=PROJECT, env=environment, check=True)
        after = samples(server.url)[CONNECTIONS]

    assert before == after == 12
    assert [path for path in place.iterdir() if path.is_dir()] == [], "the server's own folder goes with it"


def metrics_folder(worker: int) -> str:
    """Return where a worker counts."""
    environment = Path(f"/proc/{worker}/maps").read_text()
    found = re.search(r"(/\S*session-service-metrics-[\w-]+)/", environment)
    assert found
    return found[1]


def sockets(pid: int) -> set[str]:
    """Return the sockets that a process holds."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return {link for link in links if link.startswith("socket:")}


def shared(server: Watched) -> set[str]:
    """Return the sockets that more than one process of a server holds."""
    held = [sockets(pid) for pid in (server.pid, *server.workers)]
    return {one for number, mine in enumerate(held) for others in held[number + 1 :] for one in mine & others}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_share_nothing_but_the_place_where_they_listen(database_url: str, tmp_path: Path) -> None:
    for preload in ("", "--preload"):
        with watched(database_url, tmp_path, preload) as server:
            ask(server.url, 20)
            assert len(shared(server)) == 1
            assert any(len(sockets(worker)) > 1 for worker in server.workers)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_is_shared_over_a_fork_would_be_noticed(database_url: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    arguments = f"--pid {pid_file} --preload"
    with gunicorn(
        database_url, app="tests.harness.faulty:app", FAULT="connects before the fork", GUNICORN_CMD_ARGS=arguments
    ) as url:
        server = Watched(url, int(pid_file.read_text()))
        assert len(shared(server)) > 1


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Let this thread, and the processes that it starts, run on these alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_as_many_workers_as_cores_keep_to_one_each(database_url: str, tmp_path: Path) -> None:
    two = set(sorted(os.sched_getaffinity(0))[:2])  # or the one that there is
    with on_cores(two):
        with watched(database_url, tmp_path) as server:
            for _ in range(3):
                assert {*map(cores_of, server.workers)} == {(core,) for core in two}
                killed = min(server.workers, key=cores_of)  # twice the same core's: its number alone would not tell
                os.kill(killed, signal.SIGKILL)
                wait_until(partial(has_replaced, server, killed), "there is a new worker")
        with watched(database_url, tmp_path, WEB_CONCURRENCY="1") as server:
            assert {*map(cores_of, server.workers)} == {tuple(sorted(two))}


def cores_of(pid: int) -> tuple[int, ...]:
    """Return where each thread of a process may run."""
    threads = {tuple(sorted(os.sched_getaffinity(int(thread.name)))) for thread in Path(f"/proc/{pid}/task").iterdir()}
    assert len(threads) == 1
    return threads.pop()


def has_replaced(server: Watched, killed: int) -> bool:
    """Return whether another worker is there, and keeps to a core."""
    workers = server.workers
    return killed not in workers and len(workers) == 2 and all(len(cores_of(worker)) == 1 for worker in workers)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_recycled_workers_lose_no_request(database_url: str, tmp_path: Path) -> None:
    with watched(database_url, tmp_path, "--max-requests 60") as server, calling(server.url, callers=8) as seen:
        first = set(server.workers)
        wait_until(lambda: len(seen.calls) > 600, "enough calls", seconds=60)
        seen.broke = seen.mended = monotonic()
        assert not first & set(server.workers), "all workers were replaced"

    assert {call.status for call in seen.calls} == {200}


STOPPED_ONCE = """
import os, signal
from pathlib import Path
from wsgi import app

if not (stopped := Path(__file__).with_suffix(".stopped")).exists():
    stopped.touch()
    os.kill(os.getpid(), signal.SIGTERM)
"""
"""An application whose first process is told to stop when it is about to serve."""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_is_stopped_while_it_starts_ends_as_any_other(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stopped_once.py").write_text(STOPPED_ONCE, encoding="utf-8")
    with gunicorn(database_url, app="stopped_once:app", PYTHONPATH=f"{tmp_path}:{PROJECT}", WEB_CONCURRENCY="1") as url:
        ask(url, 3)
    said = capsys.readouterr().out

    assert said.count("Booting worker with pid") == said.count("Worker exiting") == 2
    assert "Exception" not in said


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_stop_is_announced_before_anything_changes(database_url: str, tmp_path: Path) -> None:
    with watched(database_url, tmp_path, DRAIN_SECONDS="3") as server, calling(server.url, callers=4) as seen:
        sleep(1)
        stopped = monotonic()
        os.kill(server.pid, signal.SIGTERM)
        sleep(2.5)
        seen.broke = seen.mended = monotonic()
        wait_until(lambda: is_gone(server.pid), "the server has ended")
        lasted = monotonic() - stopped

    meanwhile = [call for call in seen.calls if call.ended < stopped + 2.5]
    assert {call.status for call in meanwhile} == {200}
    ready = [call for call in seen.ready if stopped + 0.1 < call.began < stopped + 2.5]
    assert {(call.status, call.code) for call in ready} == {(503, "not_ready")}
    assert lasted > 3
