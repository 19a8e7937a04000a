"""Chooses the processor core that each worker process is pinned to.

Python runs one thread of a process at a time. If the threads of a process are spread over several cores, each switch
between threads wakes another core, and a request costs more processor time than on a single core.
"""

from collections.abc import Iterable, Sequence


def choose_core(cores: Iterable[int], taken: Sequence[int | None], processes: int) -> int | None:
    """Return the core for a new process: of the cores with the fewest processes, the lowest.

    Args:
        cores: the cores that may be used.
        taken: the core of each running process; None for one that is not pinned.
        processes: the intended number of processes.

    Returns:
        None if there are more cores than processes. The process is not pinned then: another program may occupy one
        core while another core is free.
    """
    usable = sorted(cores)
    return min(usable, key=taken.count) if processes >= len(usable) else None
