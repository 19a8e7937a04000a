"""Bulkhead for threads that wait: so many at once, and others wait for one as long as somebody gets answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic, sleep

import pytest

from session_service import deadline
from session_service.bulkhead import Bulkhead, BulkheadFull
from session_service.errors import DatabaseUnavailable


@contextmanager
def taken(bulkhead: Bulkhead, number: int) -> Iterator[Event]:
    """Hold so many bulkhead in threads of their own until the event is set."""
    done, held = Event(), []

    def hold() -> None:
        with bulkhead.slot():
            held.append(1)
            done.wait(10)

    with ThreadPoolExecutor(number) as pool:
        for _ in range(number):
            pool.submit(hold)
        while len(held) < number:
            sleep(0.001)
        try:
            yield done
        finally:
            done.set()


def seconds_until_refused(bulkhead: Bulkhead) -> float:
    began = monotonic()
    with pytest.raises(BulkheadFull), bulkhead.slot():
        pass
    return monotonic() - began


def test_a_place_that_becomes_free_is_waited_for() -> None:
    bulkhead = Bulkhead(2, stall_timeout=5, max_wait=5)
    with taken(bulkhead, 2) as done, ThreadPoolExecutor(1) as pool:

        def wait() -> str:
            with bulkhead.slot():
                return "there"

        waits = pool.submit(wait)
        done.set()
        assert waits.result(5) == "there"


def test_without_any_answer_others_are_refused_after_a_while() -> None:
    bulkhead = Bulkhead(1, stall_timeout=0.2, max_wait=5)
    with taken(bulkhead, 1):
        assert 0.1 < seconds_until_refused(bulkhead) < 2
        assert seconds_until_refused(bulkhead) < 0.1


def test_nobody_waits_longer_than_the_deadline_of_the_request() -> None:
    bulkhead = Bulkhead(1, stall_timeout=5, max_wait=5)
    with taken(bulkhead, 1), deadline.at_most(0.2):
        assert seconds_until_refused(bulkhead) < 2


def test_an_answer_lets_others_wait_again_and_a_silence_does_not() -> None:
    bulkhead = Bulkhead(1, stall_timeout=0.3, max_wait=5)
    with pytest.raises(DatabaseUnavailable), bulkhead.slot():
        raise DatabaseUnavailable
    sleep(0.4)
    with taken(bulkhead, 1):
        assert seconds_until_refused(bulkhead) < 0.2
    with pytest.raises(ValueError, match="an answer"), bulkhead.slot():
        raise ValueError("an answer, though not the one that was hoped for")
    with taken(bulkhead, 1):
        assert seconds_until_refused(bulkhead) > 0.2
