"""The memory of servers under load, as the kernel counts it (proc_pid_smaps_rollup(5)).

PSS: a page that several processes map counts in equal parts for each of them. So each server is measured while no
other one runs; otherwise the others would share the pages of Python or Node, and make it look smaller.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from benchmarks.load import send
from benchmarks.plan import Subject
from benchmarks.processor import family
from benchmarks.servers import PROCESSES, Server

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Alone:
    """A server to be started for this measurement, and the subjects whose requests are its load, one after another."""

    key: str
    label: str
    start: Callable[[], AbstractContextManager[Server]]
    subjects: Sequence[Subject]


@dataclass(frozen=True)
class Memory:
    """The largest sum of PSS that was seen, in bytes. PostgreSQL is not included."""

    key: str
    label: str
    workers: Sequence[int]
    """Of each process that answers requests, the largest first."""
    others: int
    """Of the processes that started them."""

    @property
    def all_workers(self) -> int:
        return sum(self.workers)


def memory_of(alone: Alone, seconds: float) -> Memory:
    """Start a server, send it requests for *seconds*, and return the most memory that its workers had meanwhile.

    Raises:
        UnexpectedAnswer: as `send` does.
    """
    most = Memory(alone.key, alone.label, (), 0)
    with alone.start() as server:
        for subject in alone.subjects:
            sender = _Sender(replace(subject, server=server), seconds / len(alone.subjects))
            sender.start()
            while sender.is_alive():
                sender.join(_SAMPLE_SECONDS)
                most = max(most, _read(alone, server.pid), key=lambda one: one.all_workers)
            if sender.error:
                raise sender.error
    return most


class _Sender(Thread):
    """Sends a subject's requests, beside the thread that reads the memory."""

    def __init__(self, subject: Subject, seconds: float) -> None:
        super().__init__(daemon=True)
        self._subject, self._seconds = subject, seconds
        self.error: Exception | None = None

    def run(self) -> None:
        subject = self._subject
        try:
            send(subject.server.address, subject.requests, expected=subject.expected, seconds=self._seconds)
        except Exception as error:
            self.error = error


def _read(alone: Alone, pid: int) -> Memory:
    """Read the memory of process *pid* and its descendants; the workers are the largest of these."""
    pss = sorted((_pss(one) for one in family(pid)), reverse=True)
    return Memory(alone.key, alone.label, tuple(pss[:PROCESSES]), sum(pss[PROCESSES:]))


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss of process {pid}")
