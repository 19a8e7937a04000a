"""A pytest plugin: a test marked `alone` runs while no other test of the run does, and such tests run last."""

from collections.abc import Generator
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock

import pytest

from tests.run_folder import RUN_FOLDER


class _Turns:
    """Locks that all processes of a run share. The kernel releases those of a process that ends."""

    def __init__(self) -> None:
        # Whoever waits for the machine keeps the queue, so that others do not overtake for ever.
        self._queue = (RUN_FOLDER / "queue.lock").open("w")
        self._machine = (RUN_FOLDER / "machine.lock").open("w")
        self._is_alone = False

    def begin(self, *, alone: bool) -> None:
        """Wait until a test may run. A process that has the machine for itself keeps it from one test to the next."""
        if self._is_alone:
            return
        flock(self._queue, LOCK_EX)
        flock(self._machine, LOCK_EX if alone else LOCK_SH)
        flock(self._queue, LOCK_UN)
        self._is_alone = alone

    def end(self, *, keep: bool) -> None:
        """Let other tests run, unless this process goes on with a test that runs alone."""
        if not keep:
            flock(self._machine, LOCK_UN)
            self._is_alone = False

    def close(self) -> None:
        self._queue.close()
        self._machine.close()


_turns = _Turns()


def _runs_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that run alone last, in one row."""
    items.sort(key=_runs_alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, bool | None, bool | None]:
    """Take turns."""
    _turns.begin(alone=_runs_alone(item))
    try:
        return (yield)
    finally:
        _turns.end(keep=_runs_alone(item) and _runs_alone(nextitem))


def pytest_unconfigure() -> None:
    """Close the files."""
    _turns.close()
