"""Deliverers as processes, events for them, and what judges a delivery."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from subprocess import DEVNULL, Popen
from typing import cast

from flask import Flask
from sqlalchemy import Table, select

from session_service.clock import utcnow
from session_service.database.models import SessionEventRow
from session_service.database.transaction import execute, transaction
from session_service.errors import DatabaseUnavailable
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.rows import insert_created_event, insert_row
from tests.harness.support import SECRET
from tests.harness.webhooks import PATIENCE, Attempt


def start_deliverer(database_url: str, file: str, app: str = "wsgi", **environment: str) -> Popen[bytes]:
    """Start `flask webhooks deliver`; the caller ends it."""
    given = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "WEBHOOKS": file, **environment}
    line = [sys.executable, "-m", "flask", "--app", app, "webhooks", "deliver"]
    return Popen(line, cwd=PROJECT, env=environment_with(**given), stdout=DEVNULL, stderr=DEVNULL)


@contextmanager
def deliverer(database_url: str, file: str, **environment: str) -> Iterator[Popen[bytes]]:
    """Run a deliverer until the caller is done."""
    process = start_deliverer(database_url, file, **environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def add_events(app: Flask, number: int, threads: int = 4) -> None:
    """Create so many sessions, each in a transaction of its own, in several threads; each has its event."""

    def create(numbers: range) -> None:
        with app.app_context():
            for user_id in numbers:
                # SQLite has one writer at a time, and deliverers write a lot.
                while not _created(str(user_id)):
                    pass

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(create, [range(1 + start, number + 1, threads) for start in range(threads)]))


def _created(user_id: str) -> bool:
    """Create a session with its event; return whether the database let it."""
    now = utcnow()
    device = {"device_key": "Chrome|Windows|", "device_name": "Chrome on Windows 10", "device_type": "web"}
    times = {"created_at": now, "last_activity": now, "expires_at": now + timedelta(days=30)}
    try:
        with transaction(writes=True):
            row = insert_row(user_id=user_id, **device, browser="Chrome", ip_source="observed", **times)
            insert_created_event(row)
    except DatabaseUnavailable:
        return False
    return True


def event_ids(app: Flask) -> list[int]:
    """Return the ids of all events, in order."""
    events = cast(Table, SessionEventRow.__table__)
    with app.app_context(), transaction():
        return list(execute(select(events.c.id).order_by(events.c.xact, events.c.id)).scalars())


def faults_in(attempts: Sequence[Attempt], expected: Sequence[int]) -> set[str]:
    """Return what is wrong with one endpoint's messages, given the ids of all events in order.

    An event may come twice, if nothing came in between: the sender was killed before it noted the answer.
    """
    found = set()
    taken = [one.id for one in attempts if one.fault is None]
    if set(expected) - set(taken):
        found.add("lost")
    place = {event_id: index for index, event_id in enumerate(expected)}
    if set(taken) - set(place):
        found.add("unknown")
    steps = [place.get(after, -1) - place.get(before, -1) for before, after in itertools.pairwise(taken)]
    if not set(steps) <= {0, 1}:
        found.add("out of order")
    if any(one.message["id"] != one.id for one in attempts):
        found.add("another id")
    begun = sorted(attempts, key=lambda one: one.began_at)
    for before, after in itertools.pairwise(begun):
        # A receiver notices a moment late that the sender has given up.
        if before.ended_at is None or before.ended_at > after.began_at + PATIENCE:
            found.add("side by side")
    return found
