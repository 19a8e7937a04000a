"""The feed while many write: each committed event once, in an order in which no session ends before it is created."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import create_engine, text

from session_service.app import create_app
from session_service.database.engine import db
from session_service.database.urls import database_url as with_driver
from session_service.services.feed import Feed
from tests.harness.feed_race import Change
from tests.harness.options import Numbers
from tests.harness.paths import PROJECT
from tests.harness.reports import note
from tests.harness.support import settings

WRITERS, READERS = 8, 4


class Race(NamedTuple):
    """What was committed, what each reader saw, and what is on record in the order of the feed."""

    committed: Counter[Change]
    seen: list[list[tuple[int, str, int]]]
    incomplete: int
    recorded: list[tuple[int, str, int]]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.harness.feed_race", *map(str, arguments)], cwd=PROJECT)


def race(url: str, folder: Path, events: int, *options: str) -> Race:
    """Let writers and readers loose on one database."""
    over = folder / "over"
    with create_app(settings(DATABASE_URL=url)).app_context():
        beginning = Feed(settings(DATABASE_URL=url)).read(None)["position"]
        db.engine.dispose()
    writers = [start("write", url, seed, events // WRITERS, folder / f"w{seed}") for seed in range(WRITERS)]
    readers = [start("read", url, seed, over, folder / f"r{seed}", beginning, *options) for seed in range(READERS)]
    try:
        assert [one.wait(600) for one in writers] == [0] * WRITERS
        over.touch()
        assert [one.wait(120) for one in readers] == [0] * READERS
    finally:
        for one in writers + readers:
            one.kill()
            one.wait()
    committed: Counter[Change] = Counter()
    for number in range(WRITERS):
        committed.update((what, session_id) for what, session_id in json.loads((folder / f"w{number}").read_text()))
    reports: list[dict[str, Any]] = [json.loads((folder / f"r{number}").read_text()) for number in range(READERS)]
    engine = create_engine(with_driver(url))
    with engine.connect() as connection:
        order = text("SELECT id, what, session_id FROM session_events ORDER BY xact, id")
        recorded = [(row.id, f"session.{row.what}", row.session_id) for row in connection.execute(order)]
    engine.dispose()
    seen = [[(event_id, kind, session_id) for event_id, kind, session_id in one["seen"]] for one in reports]
    return Race(committed, seen, sum(one["incomplete"] for one in reports), recorded)


def faults(result: Race) -> set[str]:
    """Return what is not as promised."""
    found = set()
    told = Counter((what.removeprefix("session."), session_id) for _, what, session_id in result.recorded)
    if told != result.committed:
        found.add("events are not what was committed")
    for seen in result.seen:
        if seen != result.recorded:
            missing, twice = set(result.recorded) - set(seen), len(seen) - len(set(seen))
            found.add("an event was skipped" if missing else "an event came twice" if twice else "another order")
        created = set[int]()
        for _, kind, session_id in seen:
            if kind == "session.created":
                created.add(session_id)
            elif session_id not in created:
                found.add("a session ended before it was created")
    return found


@pytest.mark.heavy
def test_each_reader_sees_each_committed_event_once_and_in_order(
    database_url: str, tmp_path: Path, numbers: Numbers
) -> None:
    result = race(database_url, tmp_path, numbers.raced_events)

    assert faults(result) == set()
    assert len(result.recorded) >= numbers.raced_events
    note(
        f"{len(result.recorded)} events by {WRITERS} writers, seen by {READERS} readers: none skipped, none twice; "
        f"{result.incomplete} answers were not complete"
    )


@pytest.mark.heavy
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_reader_without_the_horizon_is_caught(database_url: str, tmp_path: Path) -> None:
    result = race(database_url, tmp_path, 1_600, "without-horizon")

    assert "an event was skipped" in faults(result)
