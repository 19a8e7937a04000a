"""The deadline of a request: everything that waits for the database on its behalf shares it.

Commands have none of their own; each of their transactions sets one (`database.transaction`).
"""

from contextvars import ContextVar
from time import monotonic

from session_service.limits import ROLLBACK_SECONDS

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def start(seconds: float, began_at: float) -> None:
    """Set the deadline of this thread's request to *seconds* after *began_at*; `clear` ends it."""
    _deadline.set(began_at + seconds)


def clear() -> None:
    """Remove the deadline."""
    _deadline.set(None)


class at_most:  # used like a function; a generator would take four times as long
    """Set a deadline for a block, unless the request's own comes earlier."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        before, ours = _deadline.get(), monotonic() + self._seconds
        self._token = _deadline.set(ours if before is None else min(before, ours))

    def __exit__(self, *_error: object) -> None:
        _deadline.reset(self._token)


def seconds_left() -> float | None:
    """Return the seconds until the deadline, at least `ROLLBACK_SECONDS`; None without a deadline."""
    until = _deadline.get()
    return None if until is None else max(until - monotonic(), ROLLBACK_SECONDS)
