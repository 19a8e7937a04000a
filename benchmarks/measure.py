"""One turn after the other: what a request costs, and how many there are in a second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from benchmarks.load import send
from benchmarks.plan import Sizes, Subject
from benchmarks.processor import seconds_of

ACTIVITY_INTERVAL = 60
"""Seconds; the service's default of `ACTIVITY_INTERVAL_SECONDS`."""


@dataclass(frozen=True)
class Turn:
    """What one subject's turn came to; processor time is per request, in microseconds."""

    round: int
    subject: str
    requests: int
    per_second: float
    server_us: float
    database_us: float
    activity_writes: int
    """Of the sessions that are in use: how many had their activity written."""

    @property
    def us(self) -> float:
        """Server and database together."""
        return self.server_us + self.database_us


def warm_up(subjects: Sequence[Subject], sizes: Sizes) -> Iterator[str]:
    """Let everybody have a first turn that does not count; yield who had it."""
    for subject in subjects:
        send(subject.server.address, subject.requests, expected=subject.expected, seconds=sizes.warm_up)
        yield subject.label


def rounds(subjects: Sequence[Subject], sizes: Sizes, postgres: int) -> Iterator[Turn]:
    """Give every subject its turn in each round, each round beginning with another one; yield the turns.

    Args:
        postgres: PostgreSQL's first process.
    """
    for number in range(sizes.rounds):
        first = number * len(subjects) // sizes.rounds
        for subject in [*subjects[first:], *subjects[:first]]:
            _prepare(subject)
            yield _turn(number, subject, sizes.seconds, postgres)


def _turn(number: int, subject: Subject, seconds: float, postgres: int) -> Turn:
    began = datetime.now(UTC)
    server, database = seconds_of(subject.server.pid), seconds_of(postgres)
    sent = send(subject.server.address, subject.requests, expected=subject.expected, seconds=seconds)
    server, database = seconds_of(subject.server.pid) - server, seconds_of(postgres) - database
    if sent.requests == 0:
        raise RuntimeError(f"{subject.label}: no requests are left; this machine needs more than were prepared")
    return Turn(
        round=number,
        subject=subject.key,
        requests=sent.requests,
        per_second=sent.requests / sent.seconds,
        server_us=server / sent.requests * 1e6,
        database_us=database / sent.requests * 1e6,
        activity_writes=_activity_writes(subject, began),
    )


def _prepare(subject: Subject) -> None:
    """Leave the database as a turn should find it, whoever's was the last one.

    In use all the time, sessions have their activity written at any instant within the interval; pauses would have
    them all written at once. What earlier turns left behind is vacuumed here, and costs nobody anything.
    """
    if subject.database is None:
        return
    with psycopg.connect(subject.database, autocommit=True) as connection:
        if subject.in_use:
            connection.execute(
                "UPDATE sessions SET last_activity = now() - random() * make_interval(secs => %s) WHERE id = ANY(%s)",
                (ACTIVITY_INTERVAL, list(subject.in_use)),
            )
        connection.execute("VACUUM")


def _activity_writes(subject: Subject, began: datetime) -> int:
    if subject.database is None or not subject.in_use:
        return 0
    with psycopg.connect(subject.database) as connection:
        statement = "SELECT count(*) FROM sessions WHERE last_activity > %s AND id = ANY(%s)"
        found = connection.execute(statement, (began, list(subject.in_use))).fetchone()
    return int(found[0]) if found else 0
