"""Sets the wall clock of this process apart, as a test asks; the monotonic clocks are left alone."""

import os
import time

_OFFSET = float(os.environ.get("WALL_CLOCK_OFFSET_SECONDS", "0"))
_true_time = time.time


def set_apart() -> None:
    """Let `time.time` be wrong by `WALL_CLOCK_OFFSET_SECONDS`."""
    if _OFFSET:
        time.time = lambda: _true_time() + _OFFSET
