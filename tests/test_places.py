"""Places for threads that wait: so many at once, and others wait for one as long as somebody gets answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic, sleep

import pytest

from session_service import deadline
from session_service.errors import DatabaseUnavailable
from session_service.places import NoPlace, Places


@contextmanager
def taken(places: Places, number: int) -> Iterator[Event]:
    """Hold so many places in threads of their own until the event is set."""
    done, held = Event(), []

    def hold() -> None:
        with places.one():
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


def seconds_until_refused(places: Places) -> float:
    began = monotonic()
    with pytest.raises(NoPlace), places.one():
        pass
    return monotonic() - began


def test_a_place_that_becomes_free_is_waited_for() -> None:
    places = Places(2, patience=5, longest=5)
    with taken(places, 2) as done, ThreadPoolExecutor(1) as pool:

        def wait() -> str:
            with places.one():
                return "there"

        waits = pool.submit(wait)
        done.set()
        assert waits.result(5) == "there"


def test_without_any_answer_others_are_refused_after_a_while() -> None:
    places = Places(1, patience=0.2, longest=5)
    with taken(places, 1):
        assert 0.1 < seconds_until_refused(places) < 2
        assert seconds_until_refused(places) < 0.1


def test_nobody_waits_longer_than_the_deadline_of_the_request() -> None:
    places = Places(1, patience=5, longest=5)
    with taken(places, 1), deadline.at_most(0.2):
        assert seconds_until_refused(places) < 2


def test_an_answer_lets_others_wait_again_and_a_silence_does_not() -> None:
    places = Places(1, patience=0.3, longest=5)
    with pytest.raises(DatabaseUnavailable), places.one():
        raise DatabaseUnavailable
    sleep(0.4)
    with taken(places, 1):
        assert seconds_until_refused(places) < 0.2
    with pytest.raises(ValueError, match="an answer"), places.one():
        raise ValueError("an answer, though not the one that was hoped for")
    with taken(places, 1):
        assert seconds_until_refused(places) > 0.2
