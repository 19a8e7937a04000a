"""The processor time of a process and its descendants, as the kernel counts it (proc_pid_stat(5))."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _CSTIME = 13, 16
"""Fields of `/proc/<pid>/stat`, counted from 0: utime, stime, and both for children that ended and were waited for."""


def seconds_of(pid: int) -> float:
    """Return the seconds that process *pid* and its descendants have spent so far, in user and kernel mode.

    The figures of a parent include its ended children. A process that ends during the reading would count twice or not
    at all, so the processes must be the same before and after it. The kernel's unit is a tick, usually 10 ms: measure
    for seconds.

    Raises:
        ProcessLookupError: there is no process *pid*.
    """
    while True:
        before = [*family(pid)]
        try:
            ticks = sum(map(_ticks, before))
        except (FileNotFoundError, ProcessLookupError):
            _ticks_of_root(pid)
            continue
        if before == [*family(pid)]:
            return ticks / _TICKS_PER_SECOND


def family(pid: int) -> Iterator[int]:
    """Yield the ids of process *pid* and its descendants."""
    yield pid
    try:
        threads = [*Path(f"/proc/{pid}/task").glob("*/children")]
    except FileNotFoundError:
        return  # a process that has just ended
    for children in threads:
        try:
            text = children.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended
        for child in text.split():
            yield from family(int(child))


def _ticks(pid: int) -> int:
    # The name is in parentheses and may contain spaces and parentheses. The third field follows the last parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[_UTIME - 2 : _CSTIME - 1]))


def _ticks_of_root(pid: int) -> None:
    try:
        _ticks(pid)
    except FileNotFoundError as error:
        raise ProcessLookupError(f"no process {pid}") from error
