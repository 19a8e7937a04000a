"""Backends on the client library, as in production, beside a service that is killed, frozen and restarted.

A yes is stale if its question was begun more than one lease after the end of the session was acknowledged. None may be,
whatever happened meanwhile; the tests judge every single answer by that.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep, time
from typing import Any

import pytest
import urllib3

from tests.harness import backends
from tests.harness.examples import CREDENTIALS, service_on
from tests.harness.processes import children, free_port, wait_until
from tests.harness.reports import note
from tests.harness.support import CHROME, basic, make_token

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

LEASE = 1.0
CALL_LIMIT = 3.0
"""Of the library, for a whole call."""
SLACK = 2.0
"""A busy machine's, for an answer that is on its way."""
KINDS = list(backends.KINDS)
ONE_OF_EACH = ["flask", "django", "fastapi"]


def families(before: set[int]) -> list[int]:
    """Return the processes that this test has started since *before*, with their descendants."""
    found = [pid for pid in children(os.getpid()) if pid not in before]
    for pid in found:
        found += children(pid)
    return found


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def ask(url: str, token: str, path: str = "/who") -> tuple[int, Any]:
    with urllib3.PoolManager(retries=False, timeout=20) as http:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME}
        answer = http.request("GET", f"{url}{path}", headers=headers)
    return answer.status, answer.json()


def sign_in(service: str, user_id: int = 74, **claims: Any) -> str:
    token = make_token(user_id, sid=f"sid-{monotonic()}", **claims)
    headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME, "X-Forwarded-For": "127.0.0.1"}
    with urllib3.PoolManager(retries=False, timeout=20) as http:
        assert http.request("POST", f"{service}/sessions/create", headers=headers).status == 201
    return token


def end_user(service: str, user_id: int = 74) -> float:
    """End a user's sessions at the service itself; return when that was acknowledged."""
    name, _, secret = CREDENTIALS.partition(":")
    with urllib3.PoolManager(retries=False, timeout=20) as http:
        answer = http.request("DELETE", f"{service}/sessions/user/{user_id}", headers=basic(name, secret))
    assert answer.status == 200
    return monotonic()


def begin(url: str, token: str) -> None:
    """Wait until whichever process answers holds the lease (there may be two), and have it remember the caller."""

    def all_hold() -> bool:
        ask(url, token)  # the first check of a process begins to follow the feed
        return all(ask(url, "", "/is-remembering") == (200, True) for _ in range(6))

    wait_until(all_hold, "the lease holds")
    assert ask(url, token)[0] == 200  # only this yes is surely remembered


def no_yes_later_than(acknowledged: float, url: str, token: str, until: Callable[[int], bool]) -> int:
    """Ask until *until* holds for a status; no yes may be given to a question from one lease after the end on."""
    deadline, asked = monotonic() + 30, 0
    while True:
        began = monotonic()
        status, _ = ask(url, token)
        asked += 1
        assert monotonic() - began < CALL_LIMIT + SLACK
        assert status != 200 or began < acknowledged + LEASE, f"a yes {began - acknowledged:.3f} s after the end"
        if until(status) and began >= acknowledged + LEASE:
            return asked
        assert monotonic() < deadline


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_is_known_within_one_lease_and_a_stop_leaves_no_warning(
    database_url: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with service_on(database_url) as service, backends.running(kind, service, PYTHONWARNINGS="error") as url:
        token = sign_in(service)
        begin(url, token)
        assert {ask(url, token)[0] for _ in range(20)} == {200}

        acknowledged = end_user(service)
        asked = no_yes_later_than(acknowledged, url, token, lambda status: status == 401)
        status, said = ask(url, token)
        assert (status, said["code"], said["end_reason"]) == (401, "session_ended", "admin")
    note(f"{kind}: {asked} questions around an end")
    (written,) = [one for one in capfd.readouterr().out.split("--- what ") if "harness.backends" in one]
    assert "Traceback" not in written
    # The first of several uvicorn processes leaves the socket open that it listens on: it has no peer.
    lines = [line for line in written.splitlines() if "Warning: " in line]
    warnings = [line for line in lines if "raddr" in line or kind != "fastapi, 2 processes"]
    assert not warnings


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_service_that_is_killed_is_503_after_the_lease_and_comes_back(database_url: str, kind: str) -> None:
    port = str(free_port())
    with ExitStack() as stack:
        before = set(children(os.getpid()))
        first = stack.enter_context(ExitStack())
        service = first.enter_context(service_on(database_url, PORT=port))
        pids = families(before)
        url = stack.enter_context(backends.running(kind, service))
        token = sign_in(service)
        begin(url, token)

        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        killed = monotonic()
        no_yes_later_than(killed, url, token, lambda status: status == 503)
        assert ask(url, token, "/who-in-an-outage")[0] == 200
        first.close()

        stack.enter_context(service_on(database_url, PORT=port))
        wait_until(lambda: ask(url, token)[0] == 200, "the service is back")
        begin(url, token)
        no_yes_later_than(end_user(service), url, token, lambda status: status == 401)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_service_that_is_frozen_is_503_in_time_and_comes_back(database_url: str, kind: str) -> None:
    before = set(children(os.getpid()))
    with service_on(database_url) as service:
        pids = families(before)
        with backends.running(kind, service) as url:
            token = sign_in(service)
            begin(url, token)

            with frozen(pids):
                no_yes_later_than(monotonic(), url, token, lambda status: status == 503)
            wait_until(lambda: ask(url, token)[0] == 200, "the service is back")


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_that_was_frozen_while_a_session_ended_refuses_at_once(database_url: str, kind: str) -> None:
    with service_on(database_url) as service:
        before = set(children(os.getpid()))
        with backends.running(kind, service) as url:
            pids = families(before)
            token = sign_in(service)
            begin(url, token)

            with frozen(pids):
                acknowledged = end_user(service)
                sleep(LEASE)  # the lease itself is what is waited for
            assert ask(url, token)[0] == 401
            no_yes_later_than(acknowledged, url, token, lambda status: status == 401)


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_the_backends_wall_clock_does_not_matter(database_url: str, kind: str, hours: int) -> None:
    with (
        service_on(database_url) as service,
        backends.running(kind, service, WALL_CLOCK_OFFSET_SECONDS=str(hours * 3_600)) as url,
    ):
        lasting, expires_at = sign_in(service), int(time()) + 6
        short = sign_in(service, 75, exp=expires_at)
        for token in (lasting, short):
            begin(url, token)
        assert [ask(url, token)[0] for token in (lasting, short)] == [200, 200]

        while True:
            began = time()
            status, said = ask(url, short)
            assert status == 401 or began < expires_at
            if status == 401:
                break
        assert said["code"] == "token_expired"
        assert began >= expires_at - SLACK
        no_yes_later_than(end_user(service), url, lasting, lambda status: status == 401)
