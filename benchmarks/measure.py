"""Measures all subjects in turns: the cost of a request, and the number of requests per second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from benchmarks.load import send
from benchmarks.plan import Subject, Turns
from benchmarks.processor import seconds_of

ACTIVITY_INTERVAL = 60
"""Seconds; the service's default of `ACTIVITY_INTERVAL_SECONDS`."""


@dataclass(frozen=True)
class Turn:
    """The result of one subject's turn. Processor time is per request, in microseconds.

    Latencies are in milliseconds: half, and 99 of 100, of the answers took no longer.
    """

    round: int
    subject: str
    requests: int
    per_second: float
    server_us: float
    database_us: float
    p50_ms: float
    p99_ms: float
    activity_writes: int | None
    """Number of sessions in use whose activity was written during the turn; None if that is not counted."""

    @property
    def us(self) -> float:
        """Processor time of server and database together."""
        return self.server_us + self.database_us


def warm_up(subjects: Sequence[Subject], seconds: float) -> Iterator[str]:
    """Run a first turn of each subject, which is not measured; yield its label."""
    for subject in subjects:
        send(subject.server.address, subject.requests, expected=subject.expected, seconds=seconds)
        yield subject.label


def rounds(subjects: Sequence[Subject], turns: Turns, postgres: int, *, vacuum: bool = True) -> Iterator[Turn]:
    """Run one turn of each subject in each round, and yield the turns. Each round begins with another subject.

    Args:
        postgres: id of PostgreSQL's first process.
        vacuum: whether the dead rows of earlier turns are removed before each turn; no turn pays for it.
    """
    for number in range(turns.rounds):
        first = number * len(subjects) // turns.rounds
        for subject in [*subjects[first:], *subjects[:first]]:
            _prepare(subject, vacuum)
            yield _turn(number, subject, turns.seconds, postgres)


def _turn(number: int, subject: Subject, seconds: float, postgres: int) -> Turn:
    began = datetime.now(UTC)
    server, database = seconds_of(subject.server.pid), seconds_of(postgres)
    sent = send(subject.server.address, subject.requests, expected=subject.expected, seconds=seconds)
    server, database = seconds_of(subject.server.pid) - server, seconds_of(postgres) - database
    if sent.requests == 0:
        raise RuntimeError(f"{subject.label}: no requests are left: more must be prepared for this machine")
    return Turn(
        round=number,
        subject=subject.key,
        requests=sent.requests,
        per_second=sent.requests / sent.seconds,
        server_us=server / sent.requests * 1e6,
        database_us=database / sent.requests * 1e6,
        p50_ms=sent.latency(0.5) * 1e3,
        p99_ms=sent.latency(0.99) * 1e3,
        activity_writes=_activity_writes(subject, began),
    )


def _prepare(subject: Subject, vacuum: bool) -> None:
    """Bring the database into the same state before each turn, whatever the previous turn was.

    In sessions that are in continuous use, the times of the last activity write are spread over the interval. After a
    pause, all sessions would be due at once, so the times are set at random.
    """
    if subject.database is None:
        return
    with psycopg.connect(subject.database, autocommit=True) as connection:
        if subject.in_use:
            connection.execute(
                "UPDATE sessions SET last_activity = now() - random() * make_interval(secs => %s) WHERE id = ANY(%s)",
                (ACTIVITY_INTERVAL, list(subject.in_use)),
            )
        if vacuum:
            connection.execute("VACUUM")


def _activity_writes(subject: Subject, began: datetime) -> int | None:
    if subject.database is None or not subject.in_use:
        return None
    with psycopg.connect(subject.database) as connection:
        statement = "SELECT count(*) FROM sessions WHERE last_activity > %s AND id = ANY(%s)"
        found = connection.execute(statement, (began, list(subject.in_use))).fetchone()
    return int(found[0]) if found else 0
