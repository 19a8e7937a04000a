"""How long may still be waited for the database: a request's own deadline, which everything within it shares.

Where nobody set one (a command), waits are as long as the server's own limits make them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

LEAST_SECONDS = 0.1
"""What a wait gets after the deadline: a rollback is tried all the same, and a healthy server does it in less."""

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def start(seconds: float) -> None:
    """Let what this thread does from now on take *seconds*; to be ended by `clear`."""
    _deadline.set(monotonic() + seconds)


def clear() -> None:
    """Let this thread wait again as long as it takes."""
    _deadline.set(None)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let what is done within take *seconds*, or what is left where that is less."""
    before, ours = _deadline.get(), monotonic() + seconds
    token = _deadline.set(ours if before is None else min(before, ours))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """Return how long may still be waited, at least `LEAST_SECONDS`; None where there is no deadline."""
    until = _deadline.get()
    return None if until is None else max(until - monotonic(), LEAST_SECONDS)
