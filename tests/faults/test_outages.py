"""PostgreSQL freezes, vanishes, stops or is locked while callers go on: bounded waits, and nothing remembered.

What is killed with `-9` is in `test_kills`. The judge is `outage.Seen.faults`; that it would notice is shown with a
service that waits for ever, and with one that lets all of its threads wait.
"""

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from session_service.limits import threads_for
from tests.harness.outage import calling, proxied, suffer
from tests.harness.postgres import PostgresServer
from tests.harness.processes import children
from tests.harness.servers import faulty, gunicorn

# Each wait has a bound in seconds.
pytestmark = pytest.mark.alone

RULES = {"MAX_SIGN_INS_PER_MINUTE": "0", "ACTIVITY_INTERVAL_SECONDS": "0", "WEB_CONCURRENCY": "1"}
"""One worker, so that all health checks meet the threads that wait."""


def freeze(server: PostgresServer) -> None:
    """Stop all of the server's processes, as a machine that swaps or a paused container does."""
    for pid in (server.pid, *children(server.pid)):
        os.kill(pid, signal.SIGSTOP)


def thaw(server: PostgresServer) -> None:
    for pid in (*children(server.pid), server.pid):
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def url(server: PostgresServer) -> Iterator[str]:
    """Return the address of the service on that server."""
    with gunicorn(server.url, **RULES) as url:
        yield url


def test_a_frozen_server(server: PostgresServer, url: str) -> None:
    with calling(url) as seen:
        suffer(seen, lambda: freeze(server), lambda: thaw(server))

    assert seen.faults() == set()


def test_a_stopped_server(server: PostgresServer, url: str) -> None:
    with calling(url) as seen:
        suffer(seen, server.stop, server.start)

    assert seen.faults() == set()


def test_a_network_that_swallows(server: PostgresServer) -> None:
    with proxied(server) as (proxy, through), gunicorn(through, **RULES) as url, calling(url) as seen:
        suffer(seen, lambda: setattr(proxy, "mode", "swallow"), lambda: setattr(proxy, "mode", "pass"))

    assert seen.faults() == set()


def test_a_network_that_is_too_slow(server: PostgresServer) -> None:
    with proxied(server) as (proxy, through), gunicorn(through, **RULES) as url, calling(url) as seen:
        proxy.delay = 4.0
        suffer(seen, lambda: setattr(proxy, "mode", "delay"), lambda: setattr(proxy, "mode", "pass"))

    # What was sent into the slow network comes out of it late, and that is seen until it is through.
    assert seen.faults() <= {"recovers late", "remembers"}


def test_a_network_that_is_just_slow_is_no_outage(server: PostgresServer) -> None:
    with proxied(server) as (proxy, through), gunicorn(through, **RULES) as url, calling(url, callers=4) as seen:
        proxy.delay = 0.02
        suffer(seen, lambda: setattr(proxy, "mode", "delay"), lambda: setattr(proxy, "mode", "pass"), seconds=3)

    assert seen.faults(answers_throughout=True) == set()
    assert {call.status for call in seen.calls} == {200}


def test_connections_that_are_cut(server: PostgresServer) -> None:
    with proxied(server) as (proxy, through), gunicorn(through, **RULES) as url, calling(url) as seen:
        suffer(seen, proxy.cut, proxy.cut, seconds=2)

    assert seen.faults() - {"ready in the middle", "not noticed"} == set()


def test_a_locked_table(server: PostgresServer, url: str) -> None:
    with psycopg.connect(server.url) as other, calling(url) as seen:
        suffer(seen, lambda: other.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"), other.rollback)

    # The server itself answers, and so `/readyz` does.
    assert seen.faults() - {"ready in the middle"} == set()


@pytest.mark.parametrize(
    ("fault", "noticed"),
    [("waits for ever", {"no answer", "too slow"}), ("all threads may wait", {"health"})],
)
def test_a_service_that_waits_too_long_or_with_all_its_threads_would_be_noticed(
    server: PostgresServer, fault: str, noticed: set[str]
) -> None:
    # More callers than the worker has threads.
    with faulty(server.url, fault, **RULES) as (url,), calling(url, callers=2 * threads_for(6)) as seen:
        suffer(seen, lambda: freeze(server), lambda: thaw(server), seconds=10 if "no answer" in noticed else 5)

    assert seen.faults() >= noticed
