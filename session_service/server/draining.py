"""Whether this server is about to stop: said by gunicorn's master, heard by all of its workers.

Load balancers get the time to notice, by `/readyz`, before anything else changes.
"""

import mmap

# Anonymous and shared: the workers are forked from the process that imports this first.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Let all workers of this server say that it is about to stop."""
    _flag[0] = 1


def is_under_way() -> bool:
    """Return whether this server is about to stop."""
    return _flag[0] == 1
