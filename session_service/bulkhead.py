"""Limits how many threads of a process may wait for one dependency, so that others stay free for everything else."""

from threading import BoundedSemaphore
from time import monotonic

from session_service import deadline
from session_service.errors import Unavailable


class BulkheadFull(Exception):
    """All slots are in use, and none became free in time."""


class Bulkhead:
    """Limits concurrent calls to a dependency. Waiters fail early if no call has completed recently."""

    def __init__(self, slots: int, *, stall_timeout: float, max_wait: float) -> None:
        """Set the limits.

        Args:
            slots: how many calls may run at once.
            stall_timeout: seconds without any completed call after which waiters give up.
            max_wait: seconds that a caller waits for a slot at most; the deadline of its request also counts.
        """
        self._free = BoundedSemaphore(slots)
        self._stall_timeout, self._max_wait = stall_timeout, max_wait
        self._is_answering, self._answered_at = True, monotonic()

    def __enter__(self) -> float:
        """Take a slot for a block; return the seconds that it was waited for.

        Raises:
            BulkheadFull: none became free in time.
        """
        if self._free.acquire(timeout=0):
            if self._is_answering:
                self._answered_at = monotonic()
            return 0.0
        began_at = monotonic()
        left_of_request = deadline.seconds_left()
        max_wait = self._max_wait if left_of_request is None else min(left_of_request, self._max_wait)
        until, left = began_at + max_wait, 0.0
        while not self._free.acquire(timeout=left):
            left = min(self._answered_at + self._stall_timeout, until) - monotonic()
            if left <= 0:
                raise BulkheadFull
        if self._is_answering:
            self._answered_at = monotonic()
        return monotonic() - began_at

    def __exit__(self, error: type[BaseException] | None, *_details: object) -> None:
        """Give the slot back. A call that ends with `Unavailable` is not completed; with any other error it is."""
        if error is not None and issubclass(error, Unavailable):
            self._is_answering = False
        else:
            self._is_answering, self._answered_at = True, monotonic()
        self._free.release()
