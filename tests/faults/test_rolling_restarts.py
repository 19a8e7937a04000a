"""Servers behind a gateway are restarted one after the other, and no request fails."""

import threading
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest
import urllib3

from tests.harness.nginx import nginx
from tests.harness.outage import Call
from tests.harness.processes import free_port
from tests.harness.reports import note
from tests.harness.support import CHROME, make_token
from tests.harness.watched import watched

RESTARTS = 20


class Fleet:
    """Two servers behind a gateway, which are stopped and started one after the other."""

    def __init__(self, database_url: str, folder: Path, drain_seconds: str) -> None:
        self._database_url, self._folder, self._drain_seconds = database_url, folder, drain_seconds
        self.ports = [free_port(), free_port()]
        self._running = [ExitStack(), ExitStack()]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self, number: int) -> None:
        settings = {"PORT": str(self.ports[number]), "DRAIN_SECONDS": self._drain_seconds, "WEB_CONCURRENCY": "1"}
        self._running[number].enter_context(watched(self._database_url, self._folder, **settings))

    def stop(self, number: int) -> None:
        """Stop a server by SIGTERM, and wait until it has ended."""
        self._running[number].close()


def through(gateway: str, user_id: int, done: threading.Event, seen: list[Call]) -> None:
    """Sign in and validate through the gateway until the test is done; note what was answered."""
    with urllib3.PoolManager(retries=False, timeout=15) as http:
        number = 0
        while not done.is_set():
            number += 1
            headers = {
                "Authorization": f"Bearer {make_token(user_id, n=number // 10)}",
                "User-Agent": CHROME,
            }
            method, path = (
                ("POST", "/sessions/create") if number % 10 == 0 else ("GET", "/sessions/active-devices-count")
            )
            began = monotonic()
            try:
                status = http.request(method, gateway + path, headers=headers).status
            except urllib3.exceptions.HTTPError:
                status = 0
            seen.append(Call(began, monotonic() - began, status, None, None))
            done.wait(0.02)


@pytest.mark.heavy
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_twenty_rolling_restarts_behind_the_gateway_fail_no_request(database_url: str, tmp_path: Path) -> None:
    fleet, done = Fleet(database_url, tmp_path, "0.5"), threading.Event()
    seen: list[list[Call]] = [[] for _ in range(4)]
    fleet.start(0)
    fleet.start(1)
    with nginx(*fleet.urls) as gateway:
        threads = [
            threading.Thread(target=through, args=(gateway, user_id, done, calls))
            for user_id, calls in enumerate(seen, 1)
        ]
        for thread in threads:
            thread.start()
        for restart in range(RESTARTS):
            fleet.stop(restart % 2)
            fleet.start(restart % 2)
        done.set()
        for thread in threads:
            thread.join()
    fleet.stop(0)
    fleet.stop(1)

    calls = [call for each in seen for call in each]
    failed = [call for call in calls if call.status not in {200, 201}]
    slowest = max(call.seconds for call in calls)
    note(f"{RESTARTS} restarts: {len(calls)} requests, {len(failed)} failed, the slowest {slowest:.2f} s")
    assert len(calls) > 500
    assert failed == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restart_of_both_servers_at_once_would_be_noticed(database_url: str, tmp_path: Path) -> None:
    fleet, done = Fleet(database_url, tmp_path, "0"), threading.Event()
    seen: list[Call] = []
    fleet.start(0)
    with nginx(*fleet.urls) as gateway:
        thread = threading.Thread(target=through, args=(gateway, 1, done, seen))
        thread.start()
        sleep(0.5)
        fleet.stop(0)
        sleep(0.5)
        done.set()
        thread.join()

    assert 503 in {call.status for call in seen}
