"""What is past retention goes, what ran out is recorded, and nothing else changes: on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from session_service.database import purge_queries, session_queries
from session_service.database.engine import db
from session_service.database.transaction import execute, transaction
from session_service.records import UnendedSession
from session_service.services.purge import Purged, purge, would_purge
from tests.harness.purge_rows import DAY, NOON, left, put, remember, token
from tests.harness.support import settings

TICK = timedelta(microseconds=1)
RULES = settings(SESSION_LIFETIME_SECONDS=30 * 86_400, SESSION_IDLE_SECONDS=7 * 86_400, RETENTION_DAYS=90)


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

    assert steps == [(3, 0), (6, 0), (7, 0), (7, 0), (7, 3), (7, 6), (7, 7), (7, 7)]


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
        purge_queries.mark_timed_out(
            {UnendedSession("74", session_id, NOON, NOON + DAY): (NOON + DAY, "idle")}, NOON + DAY
        )

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
