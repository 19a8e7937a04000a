"""Whether this server is about to stop: gunicorn's master process sets the flag, all workers read it.

`/readyz` reports the flag, so that load balancers stop sending requests before the server stops.
"""

import mmap

# Anonymous shared memory: the process that first imports this module forks the workers, so they share it.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    """Set the flag for all workers of this server. It stays set."""
    _flag[0] = 1


def is_under_way() -> bool:
    """Return whether this server is about to stop."""
    return _flag[0] == 1
