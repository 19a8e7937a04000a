"""The thread of `SessionClient` that follows the feed."""

import logging
import threading
from collections.abc import Callable

from session_client import clock
from session_client.answers import Answer
from session_client.errors import ServiceUnavailable
from session_client.feed import FeedReader
from session_client.remembered import Memory

_log = logging.getLogger("session_client")


class Poller:
    """The thread that follows the feed."""

    def __init__(self, memory: Memory, ask: Callable[[dict[str, str]], Answer]) -> None:
        """Take the memory that the feed changes, and what asks the feed with a query."""
        self._reader, self._ask = FeedReader(memory), ask
        self._wake = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="session-client-feed", daemon=True)

    @property
    def lease_seconds(self) -> float:
        """The lease as the service last said it."""
        return self._reader.lease_seconds

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_now(self) -> None:
        """Let the next question begin at once."""
        self._wake.set()

    def stop(self, shut: Callable[[], None]) -> None:
        """End the thread, and wait for it; *shut* ends the call that it is making."""
        self._is_stopped = True
        self._wake.set()
        shut()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_stopped:
            self._wake.clear()
            begun_at = clock.now()
            try:
                next_at = self._reader.answered(self._ask(self._reader.query), begun_at)
            except ServiceUnavailable as error:
                next_at = self._reader.failed(begun_at, str(error))
            except Exception:  # without this thread nothing is remembered until the process ends
                _log.exception("the feed could not be read")
                next_at = self._reader.failed(begun_at, "an error of this library")
            wait = next_at - clock.now()
            if wait > 0 and not self._is_stopped:
                self._wake.wait(wait)
