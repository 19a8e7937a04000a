"""Places for threads that may wait for something that may hang: so many, that others are left for everything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from session_service.errors import Unavailable


class NoPlace(Exception):
    """All places are taken, and none became free in time."""


class Places:
    """So many places of one process; whoever finds none waits a moment, but not while nothing moves."""

    def __init__(self, most: int, patience: float) -> None:
        """Have *most* places, and let others wait up to *patience* seconds for one."""
        self._free = BoundedSemaphore(most)
        self._patience = patience
        self._moves = True

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of the places.

        Raises:
            NoPlace: none is free, and whoever holds them gets no answers.
        """
        if not self._free.acquire(timeout=self._patience if self._moves else 0):
            self._moves = False
            raise NoPlace
        try:
            yield
        except Unavailable:
            self._moves = False
            raise
        except BaseException:
            self._moves = True
            raise
        else:
            self._moves = True
        finally:
            self._free.release()
