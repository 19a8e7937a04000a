"""Waiting until no backend says yes to a session that has ended: `?everywhere=true`.

Whoever remembers that a session is active trusts that for one lease, counted from the beginning of the last complete
question to the feed. So one lease after an end is committed nobody trusts it any more, whoever the readers are.
"""

from threading import BoundedSemaphore
from time import sleep

from session_service import metrics
from session_service.config import Settings
from session_service.limits import LEASE_MARGIN_SECONDS, LEASE_WAITERS


class Everywhere:
    """Waits for one lease, on few threads, without a connection and without a lock."""

    def __init__(self, settings: Settings) -> None:
        self._lease = settings.FEED_LEASE_SECONDS
        self._waiters = BoundedSemaphore(LEASE_WAITERS)

    def wait_if(self, is_asked: bool) -> bool | None:
        """Wait for one lease from now if *is_asked*; return whether that was possible, None if it was not asked.

        Where too many wait, return at once.
        """
        if not is_asked:
            return None
        if self._lease == 0:
            return True
        if not self._waiters.acquire(blocking=False):
            metrics.everywhere_waits.labels("refused").inc()
            return False
        try:
            sleep(self._lease + LEASE_MARGIN_SECONDS)
        finally:
            self._waiters.release()
        metrics.everywhere_waits.labels("waited").inc()
        return True
