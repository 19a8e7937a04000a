"""What is past retention goes, what ran out is recorded, and nothing else changes: on both databases."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import time_machine
import urllib3
from flask import Flask
from sqlalchemy import insert, text

from session_service.database import purge_queries, session_queries
from session_service.database.engine import db
from session_service.database.models import SessionToken
from session_service.database.transaction import execute, transaction
from session_service.records import Client, Principal, StoredSession, Token, UnendedSession
from session_service.services.purge import Purged, purge, would_purge
from session_service.services.sign_in import SignIn
from tests.harness.paths import PROJECT
from tests.harness.reports import note
from tests.harness.servers import gunicorn
from tests.harness.support import CHROME, SECRET, components_of, make_token, settings

MakeApp = Callable[..., Flask]

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
RULES = settings(SESSION_LIFETIME_SECONDS=30 * 86_400, SESSION_IDLE_SECONDS=7 * 86_400, RETENTION_DAYS=90)


def token(number: int, expires_at: datetime = NOON + 365 * DAY) -> Token:
    return Token("74", None, number.to_bytes(32, "big"), 0, expires_at, is_admin=False)


def remember(one: Token, session_id: int) -> None:
    """Put a token on record for a session that may have ended by now."""
    values = {"token_key": one.key, "session_id": session_id, "expires_at": one.expires_at, "is_opener": True}
    execute(insert(SessionToken), values)


def put(number: int, **columns: object) -> int:
    """Put a session on record, with a token of its own; return its id."""
    values = {
        "user_id": "74",
        "device_key": "",
        "device_name": "Chrome on Linux",
        "device_type": "web",
        "browser": "Chrome",
        "ip_source": "observed",
        "created_at": NOON,
        "last_activity": NOON,
        "expires_at": NOON + 30 * DAY,
    }
    with transaction(writes=True):
        session = session_queries.insert_session(**{**values, **columns})
        remember(token(number), session.id)
    return session.id


def left() -> dict[int, StoredSession]:
    """Return what is on record."""
    with transaction():
        ids = execute(text("SELECT id FROM sessions ORDER BY id")).scalars().all()
        rows = [session_queries.get(one) for one in ids]
    return {row.id: row for row in rows if row}


def run(now: datetime, batch: int = 1_000) -> Purged:
    *_, done = purge(RULES, now=now, batch=batch)
    return done


@pytest.fixture
def on_record(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.mark.usefixtures("on_record")
@pytest.mark.parametrize(
    ("columns", "ended_at", "reason"),
    [
        ({}, NOON + 7 * DAY, "idle"),
        ({"last_activity": NOON + 29 * DAY}, NOON + 30 * DAY, "expired"),
        ({"last_activity": NOON + 23 * DAY}, NOON + 30 * DAY, "expired"),
    ],
    ids=["idle", "expired", "both at once"],
)
def test_what_ran_out_is_recorded_with_the_instant_at_which_it_did(
    columns: dict[str, object], ended_at: datetime, reason: str
) -> None:
    session_id = put(1, **columns)

    before, at = run(ended_at - TICK), run(ended_at)

    assert (before.ends, at.ends) == (0, 1)
    on_record = left()[session_id]
    assert (on_record.ended_at, on_record.end_reason) == (ended_at, reason)
    assert (on_record.ended_by, on_record.successor_id) == (None, None)


@pytest.mark.usefixtures("on_record")
def test_ended_sessions_go_when_their_retention_is_over_and_take_their_tokens_along() -> None:
    kept, gone = (put(n, ended_at=NOON + n * TICK, end_reason="logout", ended_by="74") for n in (2, 1))

    done = run(NOON + TICK + 90 * DAY)

    assert (done.sessions, list(left())) == (1, [kept])
    with transaction():
        assert [one.id for one in session_queries.list_by_token(token(2))] == [kept]
        assert session_queries.list_by_token(token(1)) == []
    assert gone not in left()


@pytest.mark.usefixtures("on_record")
def test_what_ran_out_long_ago_is_recorded_and_removed_in_one_run() -> None:
    put(1)

    done = run(NOON + 7 * DAY + 90 * DAY)

    assert (done.ends, done.sessions) == (1, 1)
    assert left() == {}


@pytest.mark.usefixtures("on_record")
def test_tokens_are_forgotten_when_they_are_none_any_more() -> None:
    session_id = put(1)
    with transaction(writes=True):
        remember(token(2, expires_at=NOON + DAY), session_id)

    before, at = run(NOON + DAY - TICK), run(NOON + DAY)

    assert (before.tokens, at.tokens) == (0, 1)
    with transaction():
        assert session_queries.list_by_token(token(2)) == []
        assert [one.id for one in session_queries.list_by_token(token(1))] == [session_id]


@pytest.mark.usefixtures("on_record")
def test_a_dry_run_says_what_a_run_does_and_changes_nothing() -> None:
    for number in range(1, 6):
        put(number, user_id=str(number))
    put(6, ended_at=NOON, end_reason="admin")
    put(7, last_activity=NOON + 97 * DAY, expires_at=NOON + 200 * DAY)
    before, now = left(), NOON + 97 * DAY

    would = would_purge(RULES, now=now, batch=2)
    unchanged = left()
    did = run(now, batch=2)

    assert unchanged == before
    assert (would.ends, would.sessions, would.tokens) == (did.ends, did.sessions, did.tokens) == (5, 6, 0)
    assert list(left()) == [max(before)]


@pytest.mark.usefixtures("on_record")
def test_no_transaction_changes_more_rows_than_a_batch() -> None:
    for number in range(1, 8):
        put(number)

    steps = [(one.ends, one.sessions) for one in purge(RULES, now=NOON + 97 * DAY, batch=3)]

    assert steps == [(3, 0), (6, 0), (7, 0), (7, 0), (7, 3), (7, 6), (7, 7)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("on_record")
def test_a_batch_is_a_batch_whatever_the_planner_thinks_of() -> None:
    """A nested loop asks for the rows of a plain subquery once for each row of the table."""
    for number in range(1, 8):
        put(number, ended_at=NOON, end_reason="logout")
    loops_alone = [f"SET LOCAL enable_{way} = off" for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material")]
    removed = []

    for deletion in (purge_queries.delete_tokens, purge_queries.delete_ended):
        with transaction(writes=True):
            for setting in loops_alone:
                execute(text(setting))
            removed.append(deletion(NOON + 400 * DAY, 3))

    assert removed == [3, 3]


@pytest.mark.usefixtures("on_record")
def test_a_purge_that_is_stopped_anywhere_is_finished_by_the_next() -> None:
    for number in range(1, 8):
        put(number)

    for _ in range(3):
        interrupted = purge(RULES, now=NOON + 97 * DAY, batch=2)
        next(interrupted)
        del interrupted
    done = run(NOON + 97 * DAY, batch=2)

    assert (done.ends, done.sessions, left()) == (1, 7, {})


@pytest.mark.usefixtures("on_record")
def test_ids_are_not_used_again_after_a_purge() -> None:
    purged = put(1)
    run(NOON + 97 * DAY)

    assert put(2) > purged


@pytest.mark.usefixtures("on_record")
def test_a_row_that_somebody_else_ended_meanwhile_keeps_its_reason() -> None:
    session_id = put(1, ended_at=NOON, end_reason="logout", ended_by="74")

    with transaction(writes=True):
        assert purge_queries.lock_unended([session_id]) == []
        purge_queries.mark_timed_out({UnendedSession("74", session_id, NOON, NOON + DAY): (NOON + DAY, "idle")})

    assert left()[session_id].end_reason == "logout"


@pytest.mark.usefixtures("on_record")
def test_a_session_that_is_used_after_the_purge_looked_at_it_is_not_ended() -> None:
    used, unused = put(1), put(2)
    steps = purge(RULES, now=NOON + 7 * DAY, batch=1)
    next(steps)  # the first page is one session, and the generator stands before the next
    with transaction(writes=True):
        session_queries.mark_activity(unused, now=NOON + DAY, idle=RULES.idle, interval=timedelta(0))
    *_, done = steps

    assert done.ends == 1
    assert {one.id: one.end_reason for one in left().values()} == {used: "idle", unused: None}


@pytest.mark.usefixtures("on_record")
def test_an_end_is_judged_again_under_the_lock() -> None:
    session_id = put(1)
    with transaction():
        (seen,) = purge_queries.list_unended_after(None, 10)
    with transaction(writes=True):
        session_queries.mark_activity(session_id, now=NOON + DAY, idle=RULES.idle, interval=timedelta(0))
        (locked,) = purge_queries.lock_unended([session_id])

    assert (seen.last_activity, locked.last_activity) == (NOON, NOON + DAY)


@pytest.mark.usefixtures("on_record")
def test_the_last_minute_is_kept_for_the_rule_on_sign_ins() -> None:
    put(1, ended_at=NOON, end_reason="logout", ended_by="74")
    at_once = replace(RULES, RETENTION_DAYS=0)

    *_, within = purge(at_once, now=NOON + timedelta(seconds=60) - TICK, batch=10)
    *_, after = purge(at_once, now=NOON + timedelta(seconds=60), batch=10)

    assert (within.sessions, after.sessions) == (0, 1)


def owners() -> set[str]:
    with transaction():
        return {user_id for user_id, _ in purge_queries.list_owners_after("", 1_000)}


def add_owners(*user_ids: str) -> None:
    with transaction(writes=True):
        for user_id in user_ids:
            session_queries.lock_or_add_owner(user_id)


@pytest.mark.usefixtures("on_record")
def test_a_user_is_forgotten_with_the_last_session() -> None:
    put(1, user_id="74", ended_at=NOON, end_reason="logout", ended_by="74")
    put(2, user_id="75", ended_at=NOON + TICK, end_reason="logout", ended_by="75")
    put(3, user_id="76")
    add_owners("74", "75", "76", "77", "78", "Zoë")

    run(NOON + 90 * DAY, batch=2)

    assert owners() == {"75", "76"}


@pytest.mark.usefixtures("on_record")
def test_a_user_who_signs_in_while_the_purge_looks_is_not_forgotten() -> None:
    add_owners("74", "75")
    with transaction():
        seen = purge_queries.list_owners_after("", 10)
    put(1, user_id="74")
    with transaction(writes=True):
        purge_queries.delete_owners([user_id for user_id, _ in seen])

    assert seen == [("74", False), ("75", False)]
    assert owners() == {"74"}


@pytest.mark.usefixtures("on_record")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_user_who_is_just_signing_in_is_left_for_the_next_run() -> None:
    """On SQLite the purge waits for that, as every writer does."""
    add_owners("74", "75")
    with db.engine.connect() as signing_in:
        signing_in.execute(text("SELECT user_id FROM session_owners WHERE user_id = '74' FOR UPDATE"))
        run(NOON)

        assert owners() == {"74"}


def command(app: Flask, *words: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["sessions", *words])
    return result.exit_code, result.output


def test_people_list_end_and_purge_by_commands(make_app: MakeApp) -> None:
    app = make_app(RETENTION_DAYS=0)
    with app.app_context():
        service = components_of(app).sessions
        for number, agent in enumerate((CHROME, "Firefox")):
            SignIn(service.settings).create_session(
                {}, by=Principal(user_id="74"), token=token(number), client=Client(agent, "203.0.113.7"), now=NOON
            )
    with time_machine.travel(NOON + DAY, tick=False):
        first, second = command(app, "list", "74")[1].splitlines()
        ended = command(app, "end", "--session", second.split()[0])
        closed = command(app, "end", "--user", "74")
        active, listed = command(app, "list", "74"), command(app, "list", "--all", "74")
    with time_machine.travel(NOON + DAY + timedelta(minutes=2), tick=False):
        would = command(app, "purge", "--dry-run")
        purged = command(app, "purge", "--batch", "1")

    assert "active" in first
    assert "Chrome on Windows 10" in second
    assert ended == (0, f"session {second.split()[0]} has ended\n")
    assert closed == (0, "sessions ended: 1\n")
    assert active == (0, "no sessions\n")
    assert listed[1].count("admin 2026-02-09T12:00:00Z by service:cli") == 2
    # A retention of 0 days is allowed; both commands warn of it first.
    assert (would[0], would[1].count("\n"), would[1].startswith("warning: RETENTION_DAYS is shorter")) == (0, 2, True)
    assert would[1].endswith("\nwould have recorded 0 ends, purged 2 sessions and 0 tokens\n")
    assert purged[0] == 0
    assert purged[1].splitlines()[1].startswith("recorded 0 ends, purged 2 sessions and 0 tokens; longest transaction ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("end",), "either --user or --session"),
        (("end", "--user", "1", "--session", "1"), "either --user or --session"),
        (("end", "--session", "999999"), "Session not found"),
        (("end", "--session", "0"), "--session"),
        (("list", "x"), "no user can have this id"),
        (("purge", "--batch", "0"), "--batch"),
    ],
)
def test_commands_that_make_no_sense_say_so(app: Flask, words: tuple[str, ...], complaint: str) -> None:
    code, said = command(app, *words)

    assert code != 0
    assert complaint in said


@contextmanager
def purging(database_url: str, home: Path, *options: str) -> Iterator[Popen[str]]:
    """Run the purge as an operator does, in a process of its own."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "sessions", "purge", *options]
    environment = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "HOME": str(home)}
    with Popen(command, cwd=PROJECT, env=environment, stdout=PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_purge_that_is_killed_leaves_nothing_half_done(app: Flask, database_url: str, tmp_path: Path) -> None:
    with app.app_context():
        kept = put(1, expires_at=datetime(2100, 1, 1, tzinfo=UTC), last_activity=datetime(2099, 12, 31, tzinfo=UTC))
        fill(5_000)
        with purging(database_url, tmp_path, "--batch", "50") as process:
            wait_until(lambda: scalar(RECORDED) > 0)
            process.kill()
        with purging(database_url, tmp_path, "--batch", "50") as process:
            wait_until(lambda: scalar(ALL) < 5_001)
            process.kill()
        halfway = scalar(ALL)
        with purging(database_url, tmp_path) as process:
            said, _ = process.communicate(timeout=60)

        assert 1 < halfway < 5_001, "it was killed before or after its work"
        assert f"purged {halfway - 1} sessions" in said
        assert list(left()) == [kept]


ALL = text("SELECT count(*) FROM sessions")
RECORDED = text("SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL")


def scalar(statement: Any) -> int:
    with db.engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not condition():
        assert monotonic() < deadline, "it did not come to that"


MANY = 200_000

FILL = """
INSERT INTO sessions (user_id, device_key, device_name, device_type, browser, ip_source,
                      created_at, last_activity, expires_at)
SELECT CAST(1000 + i / 3 AS VARCHAR(20)), '', '', 'web', '', 'observed',
       {timestamp} '2020-01-01 00:00:00', {timestamp} '2020-01-01 00:00:00', {timestamp} '2020-02-01 00:00:00'
FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) SELECT i FROM n) AS numbers
"""


def fill(many: int) -> None:
    """Put many sessions on record that ran out long ago, of many users."""
    timestamp = "TIMESTAMP" if db.engine.dialect.name == "postgresql" else ""
    with db.engine.begin() as connection:
        if timestamp:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(FILL.replace("{timestamp}", timestamp)), {"many": many})


@contextmanager
def live_traffic(url: str) -> Iterator[list[tuple[int, float]]]:
    """Sign in and list, again and again, until the caller is done; collect statuses and seconds."""
    seen: list[tuple[int, float]] = []
    stop = Event()

    def work() -> None:
        with urllib3.PoolManager() as pool:
            for number in range(100_000):
                if stop.is_set():
                    return
                headers = {"Authorization": f"Bearer {make_token(5, n=number)}", "User-Agent": CHROME}
                for method, path in (("POST", "create"), ("GET", "my-sessions")):
                    started = monotonic()
                    response = pool.request(method, f"{url}/sessions/{path}", headers=headers, timeout=10)
                    seen.append((response.status, monotonic() - started))

    thread = Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_200000_sessions_are_purged_twice_at_once_beside_live_traffic(
    app: Flask, database_url: str, tmp_path: Path
) -> None:
    with app.app_context():
        fill(MANY)

    with (
        gunicorn(database_url, MAX_SIGN_INS_PER_MINUTE="0") as url,
        live_traffic(url) as seen,
        purging(database_url, tmp_path) as one,
        purging(database_url, tmp_path) as other,
    ):
        said = [process.communicate(timeout=300)[0] for process in (one, other)]

    assert (one.returncode, other.returncode) == (0, 0)
    numbers = [[int(one) for one in re.findall(r"\d+", text)] for text in said]
    with app.app_context():
        ids_left = left()
    slowest = max(seconds for _, seconds in seen)
    note(f"two purges at once on {database_url.partition(':')[0]}: {' | '.join(map(str.strip, said))}")
    note(f"beside them: {len(seen)} live calls, the slowest took {slowest * 1_000:.0f} ms")
    assert sum(one[0] for one in numbers) == sum(one[1] for one in numbers) == MANY
    assert {status for status, _ in seen} == {200, 201}
    assert {one.user_id for one in ids_left.values()} == {"5"}
