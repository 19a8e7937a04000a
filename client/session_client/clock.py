"""The one clock of this library: seconds that never go backwards and have no date.

On Linux the clock also counts the time that the machine was suspended (`CLOCK_BOOTTIME`): a lease must not outlast
a suspended machine. The wall clock is never read: time limits of tokens and sessions are compared with the time of
the service, which its answers carry (`remembered.limit_of`).
"""

import time
from collections.abc import Callable
from functools import partial

now: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
