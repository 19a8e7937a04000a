"""The pace of what changes many rows in many transactions: it must leave others their turn."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Protocol, TypeVar

from session_service.database.transaction import transaction

T = TypeVar("T")


class Timed(Protocol):
    """What has been done so far, with the duration of the longest transaction."""

    longest_seconds: float


def in_paced_transaction(done: Timed, step: Callable[[], T]) -> T:
    """Run *step* in a transaction of its own, then pause as long as it took, so that others can write."""
    started = monotonic()
    with transaction(writes=True):
        result = step()
    seconds = monotonic() - started
    done.longest_seconds = max(done.longest_seconds, seconds)
    # SQLite allows one writer at a time, and a waiting writer polls: without a pause it might never get the lock.
    sleep(seconds)
    return result
