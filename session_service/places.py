"""Places for threads that may wait for something that may hang: so many, that others are left for everything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import monotonic

from session_service import deadline
from session_service.errors import Unavailable


class NoPlace(Exception):
    """All places are taken, and none became free in time."""


class Places:
    """So many places of one process; whoever finds none waits, but only while those who hold them get answers."""

    def __init__(self, most: int, *, patience: float, longest: float) -> None:
        """Have *most* places, and let others wait for one.

        They wait *longest* seconds, or what is left of their request's deadline, or *patience* without any answer.
        """
        self._free = BoundedSemaphore(most)
        self._patience, self._longest = patience, longest
        self._moves, self._moved_at = True, monotonic()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of the places.

        Raises:
            NoPlace: none is free.
        """
        self._take()
        try:
            yield
        except Unavailable:
            self._moves = False
            raise
        except BaseException:
            self._note_answer()
            raise
        else:
            self._note_answer()
        finally:
            self._free.release()

    def _take(self) -> None:
        of_request = deadline.seconds_left()
        longest = self._longest if of_request is None else min(of_request, self._longest)
        until, left = monotonic() + longest, 0.0
        while not self._free.acquire(timeout=left):
            left = min(self._moved_at + self._patience, until) - monotonic()
            if left <= 0:
                raise NoPlace
        if self._moves:
            self._moved_at = monotonic()

    def _note_answer(self) -> None:
        self._moves, self._moved_at = True, monotonic()
