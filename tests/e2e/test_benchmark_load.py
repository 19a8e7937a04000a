"""What the benchmarks stand on is right; how fast anything is, no test judges."""

from functools import partial
from itertools import repeat

import pytest

from benchmarks.load import UnexpectedAnswer, request, send
from benchmarks.memory import Alone, memory_of
from benchmarks.plan import Subject
from benchmarks.processor import seconds_of
from benchmarks.servers import PROCESSES, Server, gunicorn
from tests.harness.support import SECRET


@pytest.mark.parametrize("name", ["app", "wsgi"])
def test_requests_are_answered_over_connections_that_stay_open_until_there_are_no_more(name: str) -> None:
    message = request("GET", "/sessions/validate", "Authorization: Bearer any", "any")
    with gunicorn(f"benchmarks.bare:{name}", "sqlite:////nowhere", SECRET) as bare:
        sent = send(bare.address, iter([message] * 50), expected=200, seconds=20, connections=4)
        assert sent.requests == 50
        assert 0 < sent.latency(0.5) <= sent.latency(0.99) <= sent.seconds
        assert seconds_of(bare.pid) > 0

        with pytest.raises(UnexpectedAnswer, match=r"expected 204, got: HTTP/1\.1 200"):
            send(bare.address, repeat(message), expected=204, seconds=20)


def test_the_memory_of_a_server_is_that_of_its_workers_apart_from_the_process_that_started_them() -> None:
    message = request("GET", "/sessions/validate", "Authorization: Bearer any", "any")
    alone = Alone(
        "bare",
        "a bare Flask view",
        partial(gunicorn, "benchmarks.bare:app", "sqlite:////nowhere", SECRET),
        [Subject("bare", "a bare Flask view", Server(0, ("127.0.0.1", 0)), repeat(message))],
    )

    memory = memory_of(alone, seconds=2)

    assert len(memory.workers) == PROCESSES
    assert all(5e6 < one < 500e6 for one in [*memory.workers, memory.others])


def test_memory_is_not_measured_under_a_load_that_fails() -> None:
    message = request("GET", "/nowhere", "Authorization: Bearer any", "any")
    alone = Alone(
        "bare",
        "a bare Flask view",
        partial(gunicorn, "benchmarks.bare:app", "sqlite:////nowhere", SECRET),
        [Subject("bare", "a bare Flask view", Server(0, ("127.0.0.1", 0)), repeat(message))],
    )

    with pytest.raises(UnexpectedAnswer, match=r"expected 200, got: HTTP/1\.1 404"):
        memory_of(alone, seconds=2)
