"""What the benchmarks stand on is right; how fast anything is, no test judges."""

import subprocess
import sys
from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest
from flask import Flask

from benchmarks.load import UnexpectedAnswer, request, send
from benchmarks.measure import Turn
from benchmarks.people import DEVICES, NEW_USER_AGENTS, token_of
from benchmarks.plan import QUICK, TARGETS
from benchmarks.processor import seconds_of
from benchmarks.report import Report
from benchmarks.seed import Bearer, Population, bearer_of, make_known, migrate, seed_service
from benchmarks.servers import gunicorn
from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.support import SECRET, settings

POPULATION = Population(users=50, ended_each=2)


# Rows


@pytest.fixture
def seeded(new_database: Callable[[str], str]) -> Any:
    """Return an application with production's settings on seeded rows, whose newest sessions know their tokens."""
    url = new_database("postgresql")
    migrate(url, SECRET)
    seed_service(url, POPULATION)
    make_known(url, [newest(user_id) for user_id in range(1, POPULATION.users + 1)], SECRET)
    app = create_app(settings(DATABASE_URL=url, ACTIVITY_INTERVAL_SECONDS=60, MAX_SIGN_INS_PER_MINUTE=10))
    yield app
    with app.app_context():
        db.engine.dispose()


def newest(user_id: int) -> Bearer:
    return bearer_of(POPULATION, user_id, DEVICES - 1, SECRET)


def call(app: Flask, method: str, path: str, token: str, user_agent: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "User-Agent": user_agent}
    return app.test_client().open(path, method=method, headers=headers)


def test_every_seeded_session_is_found_by_its_token(seeded: Flask) -> None:
    for user_id in range(1, POPULATION.users + 1):
        bearer = newest(user_id)

        valid = call(seeded, "GET", "/sessions/validate", bearer.token, bearer.user_agent)
        mine = call(seeded, "GET", "/sessions/my-sessions", bearer.token, bearer.user_agent)

        assert (valid.status_code, valid.json["session_id"]) == (200, bearer.session_id)
        expected = {POPULATION.session_id(user_id, device) for device in range(DEVICES)}
        assert {session["id"] for session in mine.json} == expected
        assert [session["id"] for session in mine.json if session["is_current"]] == [bearer.session_id]


def test_a_sign_in_ends_the_oldest_of_the_three_and_takes_the_next_id(seeded: Flask) -> None:
    created = call(seeded, "POST", "/sessions/create", token_of(7, DEVICES, SECRET), NEW_USER_AGENTS[0])

    assert (created.status_code, created.json["id"]) == (201, POPULATION.rows + 1)
    (evicted,) = created.json["evicted"]
    assert (evicted["id"], evicted["end_reason"]) == (POPULATION.session_id(7, 0), "limit")


# Processor time

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}])
alive = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(flush=True)\\ninput()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
alive.stdout.readline()
print(flush=True)
input()
alive.communicate(b"\\n")
print(flush=True)
input()
"""


def test_processes_that_were_started_count_while_they_live_and_after() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdout.readline()
        with_living = seconds_of(parent.pid)
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        parent.stdout.readline()
        with_ended = seconds_of(parent.pid)
        parent.communicate(b"\n")

    # Two processes burnt 0.3 s each; the kernel counts in ticks.
    assert 0.55 < with_living <= with_ended


def test_an_unknown_process_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    with pytest.raises(ProcessLookupError):
        seconds_of(process.pid)


# Load


def test_requests_are_answered_over_connections_that_stay_open_until_there_are_no_more() -> None:
    message = request("GET", "/sessions/validate", "any", "any")
    with gunicorn("benchmarks.bare:app", "sqlite:////nowhere", SECRET) as bare:
        sent = send(bare.address, iter([message] * 50), expected=200, seconds=20, connections=4)
        assert sent.requests == 50
        assert seconds_of(bare.pid) > 0

        with pytest.raises(UnexpectedAnswer, match=r"expected 204, got: HTTP/1\.1 200"):
            send(bare.address, repeat(message), expected=204, seconds=20)


# The report


def turn(number: int, subject: str, us: float) -> Turn:
    return Turn(number, subject, requests=1000, per_second=500, server_us=us, database_us=0, activity_writes=30)


def test_ratios_compare_what_was_measured_in_one_round() -> None:
    keys = {key for target in TARGETS for key in (target.dearer, target.cheaper)}
    # The machine got ten times slower in the second round, and the third was an odd one.
    costs = {0: 10.0, 1: 100.0, 2: 10.0}
    turns = [turn(number, key, us) for key in sorted(keys) for number, us in costs.items()]
    turns = [
        turn(one.round, one.subject, one.us * (2 if one.round < 2 else 5)) if one.subject == "validate" else one
        for one in turns
    ]

    report = Report(turns, {key: key for key in sorted(keys)}, QUICK, "2026-11-21", {"processor": "of a test"})

    ratio = report.ratio(TARGETS[0])
    assert (ratio.median, ratio.least, ratio.most) == (2, 2, 5)
    assert "| validate | 50 (20 to 200) | 0 | 500 (500 to 500) | 3.0 % |" in report.markdown()
    assert "| `validate`, in bare views | at most 1.9 | 2.00 (2.00 to 5.00) | no |" in report.markdown()
