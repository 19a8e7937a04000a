"""RULES: which processor core each worker process keeps to.

Python runs one thread of a process at a time. Where the threads of one are spread over cores, they wake each other
across these at each pause, and a request costs more than it does on one core.
"""

from collections.abc import Iterable, Sequence


def choose_core(cores: Iterable[int], taken: Sequence[int | None], processes: int) -> int | None:
    """Return the core that a new process keeps to: the first of those that the fewest others keep to.

    Args:
        cores: those that may be used.
        taken: what the processes that are there keep to.
        processes: how many there are to be.

    Returns:
        None where there are more cores than processes: it runs wherever there is room then, as other programs may
        keep one of the cores busy while another one is free.
    """
    ours = sorted(cores)
    return min(ours, key=taken.count) if processes >= len(ours) else None
