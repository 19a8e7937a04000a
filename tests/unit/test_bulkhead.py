"""Bulkhead for threads that wait: so many at once, and others wait for one as long as somebody gets answers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from session_service import bulkhead as bulkhead_module
from session_service import deadline
from session_service.bulkhead import Bulkhead, BulkheadFull
from session_service.errors import DatabaseUnavailable


@contextmanager
def taken(bulkhead: Bulkhead, number: int) -> Iterator[Event]:
    """Hold so many slots in threads of their own until the event is set."""
    done, held = Event(), [Event() for _ in range(number)]

    def hold(is_held: Event) -> None:
        with bulkhead:
            is_held.set()
            done.wait()

    with ThreadPoolExecutor(number) as pool:
        for one in held:
            pool.submit(hold, one)
        for one in held:
            one.wait()
        try:
            yield done
        finally:
            done.set()


def test_a_place_that_becomes_free_is_waited_for() -> None:
    bulkhead = Bulkhead(2, stall_timeout=300, max_wait=300)
    with taken(bulkhead, 2) as done, ThreadPoolExecutor(1) as pool:

        def wait() -> str:
            with bulkhead:
                return "there"

        waits = pool.submit(wait)
        done.set()
        assert waits.result() == "there"


class Clock:
    """Stands for the clock and for the semaphore of a bulkhead: a wait that ends in vain takes its time here alone."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def semaphore(self, slots: int) -> "Semaphore":
        return Semaphore(self, slots)


class Semaphore:
    """Slots that nobody gives back while somebody waits."""

    def __init__(self, clock: Clock, slots: int) -> None:
        self._clock, self._free = clock, slots

    def acquire(self, timeout: float) -> bool:
        if self._free:
            self._free -= 1
            return True
        self._clock.now += timeout
        return False

    def release(self) -> None:
        self._free += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that moves only where a test says so, and where somebody waits for a slot."""
    clock = Clock()
    for module in (bulkhead_module, deadline):
        monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    monkeypatch.setattr(bulkhead_module, "BoundedSemaphore", clock.semaphore)
    return clock


@pytest.fixture
def wait(clock: Clock) -> Callable[[Bulkhead], float]:
    """Return a function that waits for a slot in vain, and returns how long that took."""

    def wait(bulkhead: Bulkhead) -> float:
        began = clock.now
        with pytest.raises(BulkheadFull), bulkhead:
            pass
        return clock.now - began

    return wait


Wait = Callable[[Bulkhead], float]


def test_without_any_answer_others_are_refused_after_a_while(wait: Wait) -> None:
    bulkhead = Bulkhead(1, stall_timeout=0.25, max_wait=5)
    with bulkhead:
        assert wait(bulkhead) == 0.25
        assert wait(bulkhead) == 0


def test_nobody_waits_longer_than_the_deadline_of_the_request(wait: Wait) -> None:
    bulkhead = Bulkhead(1, stall_timeout=5, max_wait=5)
    with bulkhead, deadline.at_most(0.25):
        assert wait(bulkhead) == 0.25


def test_nobody_waits_longer_than_the_longest_wait(wait: Wait) -> None:
    bulkhead = Bulkhead(1, stall_timeout=5, max_wait=0.5)
    with bulkhead:
        assert wait(bulkhead) == 0.5


def test_an_answer_lets_others_wait_again_and_a_silence_does_not(clock: Clock, wait: Wait) -> None:
    bulkhead = Bulkhead(1, stall_timeout=0.25, max_wait=5)
    with pytest.raises(DatabaseUnavailable), bulkhead:
        raise DatabaseUnavailable
    clock.now += 0.5
    with bulkhead:
        assert wait(bulkhead) == 0
    with pytest.raises(ValueError, match="an answer"), bulkhead:
        raise ValueError("an answer, though not the one that was hoped for")
    with bulkhead:
        assert wait(bulkhead) == 0.25
