"""What is on record, whatever the service answers: rows read over a connection beside the service's own."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, NamedTuple

import psycopg

from tests.harness.support import USER

Faults = list[str]
"""What a detector found, in words."""


def said(faults: Faults) -> set[str]:
    """Return the kinds of the faults: each text begins with its kind and a colon."""
    return {fault.partition(":")[0] for fault in faults}


class Row(NamedTuple):
    """A session, as it is in the table."""

    id: int
    user_id: str
    created_at: datetime
    last_activity: datetime
    ended_at: datetime | None
    end_reason: str | None
    ended_by: str | None
    successor_id: int | None


class Records:
    """A connection to the database beside the service's own; each statement stands for itself."""

    def __init__(self, database_url: str) -> None:
        path = database_url.removeprefix("sqlite:///")
        self._connection: Any = (
            psycopg.connect(database_url, autocommit=True)
            if path == database_url
            else sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        )

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []

    def rows(self, condition: str = "true") -> list[Row]:
        """Return the sessions of which *condition* holds, in the order of their creation."""
        found = self.run(f"SELECT {', '.join(Row._fields)} FROM sessions WHERE {condition} ORDER BY id")
        return [
            Row._make(
                _instant(value) if name.endswith(("_at", "_activity")) else value
                for name, value in zip(Row._fields, row, strict=True)
            )
            for row in found
        ]

    def count_active(self, user_id: int) -> int:
        return int(self.run(f"SELECT count(*) FROM sessions WHERE user_id = '{user_id}' AND ended_at IS NULL")[0][0])

    def close(self) -> None:
        self._connection.close()


def _instant(value: Any) -> Any:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


@dataclass
class Watch:
    """What a connection saw that looked all the while."""

    most: int = 0
    looks: int = 0


@contextmanager
def watching(database_url: str, user_id: int = USER) -> Iterator[Watch]:
    """Count a user's active sessions over and over until the caller is done."""
    watch, done = Watch(), Event()

    def look() -> None:
        with closing(Records(database_url)) as records:
            # A sign-in takes longer than what is waited here.
            while not done.wait(0.001):
                watch.most = max(watch.most, records.count_active(user_id))
                watch.looks += 1

    thread = Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


def faults_of_rows(rows: Sequence[Row]) -> Faults:
    """Find sessions that neither are active nor ended once, for a reason, in favour of whoever took their place."""
    faults, ids = [], {row.id for row in rows}
    for row in rows:
        if row.ended_at is None:
            if (row.end_reason, row.ended_by, row.successor_id) != (None, None, None):
                faults.append(f"active, with an end: {row}")
            continue
        if row.end_reason is None or row.ended_by is None:
            faults.append(f"ended without a reason: {row}")
        if row.end_reason not in {"limit", "replaced"}:
            if row.successor_id is not None:
                faults.append(f"ended for nobody, with a successor: {row}")
        elif row.successor_id not in ids or row.successor_id <= row.id:
            faults.append(f"gave way to nobody: {row}")
        if row.ended_at < row.last_activity:
            faults.append(f"active after its end: {row}")
    return faults
