"""A pytest plugin: what may run at once under xdist.

A test marked `alone` runs while no other test of the run does: it compares durations with bounds. A test marked
`heavy` runs while no other heavy one does: it takes minutes and most of the machine, but no bound follows from that.
Heavy tests run first and those alone last, so that the other processes have enough to do meanwhile.
"""

from collections.abc import Generator
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from typing import Literal

import pytest

from tests.run_folder import RUN_FOLDER

Turn = Literal["heavy", "alone"] | None


class _Turns:
    """Locks that all processes of a run share. The kernel releases those of a process that ends."""

    def __init__(self) -> None:
        self._heavy = (RUN_FOLDER / "heavy.lock").open("w")
        # Whoever waits for the machine holds the queue, so that others do not overtake for ever.
        self._queue = (RUN_FOLDER / "queue.lock").open("w")
        self._machine = (RUN_FOLDER / "machine.lock").open("w")
        self._is_alone = False

    def begin(self, turn: Turn) -> None:
        """Wait until a test may run. A process that has the machine for itself keeps it from one test to the next."""
        if self._is_alone:
            return
        if turn == "heavy":
            flock(self._heavy, LOCK_EX)
        flock(self._queue, LOCK_EX)
        flock(self._machine, LOCK_EX if turn == "alone" else LOCK_SH)
        flock(self._queue, LOCK_UN)
        self._is_alone = turn == "alone"

    def end(self, turn: Turn, following: Turn) -> None:
        """Let other tests run, unless this process goes on with a test that runs alone."""
        if turn == following == "alone":
            return
        flock(self._machine, LOCK_UN)
        self._is_alone = False
        if turn == "heavy":
            flock(self._heavy, LOCK_UN)

    def close(self) -> None:
        for file in (self._heavy, self._queue, self._machine):
            file.close()


_turns = _Turns()


def _turn_of(item: pytest.Item | None) -> Turn:
    if item is not None and item.get_closest_marker("alone"):
        return "alone"
    return "heavy" if item is not None and item.get_closest_marker("heavy") else None


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers."""
    config.addinivalue_line("markers", "alone: runs while no other test does")
    config.addinivalue_line("markers", "heavy: runs while no other heavy test does")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put heavy tests first, and those that run alone last."""
    items.sort(key=lambda item: {"heavy": 0, None: 1, "alone": 2}[_turn_of(item)])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Take turns."""
    _turns.begin(_turn_of(item))
    try:
        return (yield)
    finally:
        _turns.end(_turn_of(item), _turn_of(nextitem))


def pytest_unconfigure() -> None:
    """Close the files."""
    _turns.close()
