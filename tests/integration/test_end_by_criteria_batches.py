"""Ends by criteria on both databases: counted in steps, bounded, in batches, and never more than was counted."""

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from session_service.database import session_queries
from session_service.database.transaction import execute, transaction
from session_service.limits import END_BATCH
from session_service.records import End, Principal
from session_service.rules.criteria import Criteria
from session_service.services import end_by_criteria
from session_service.services.end_by_criteria import Ending, count, end_some
from tests.harness.many_sessions import HERE, end, events, put_active
from tests.harness.purge_rows import DAY, NOON, left
from tests.harness.support import IPHONE, MakeApp, SignIn, body, components_of, sign_in_with


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(user_id="1001"),
        Criteria(networks=frozenset({"203.0.113.7/32", "203.0.113.0/24"})),
        Criteria(created_after=NOON, browser="x"),
        Criteria(networks=frozenset({"203.0.113.7/32"}), created_after=NOON, chosen="created_at"),
        Criteria(user_id="1001", created_before=NOON + DAY, chosen="created_at"),
    ],
    ids=lambda criteria: f"{criteria.selections}",
)
@pytest.mark.parametrize("entries", [1, 2, 3, 100])
def test_a_count_in_steps_of_any_size_is_the_same(
    app: Flask, monkeypatch: pytest.MonkeyPatch, criteria: Criteria, entries: int
) -> None:
    monkeypatch.setattr(end_by_criteria, "EXAMINED", entries)
    settings = components_of(app).settings
    with app.app_context():
        ids = put_active(6)
        with transaction(writes=True):
            execute(text("DELETE FROM session_owners"))
            assert session_queries.mark_ended(ids[2], End("admin", "1", NOON), settings.idle)
        masked = put_active(2, network="203.0.113.0/24")
        chosen, counted = count(criteria, settings, now=NOON, is_bounded=False)
        by_user = [one for one in (ids[1], masked[1]) if criteria.user_id]
        wanted = by_user or [*ids, *([] if criteria.networks == frozenset({"203.0.113.7/32"}) else masked)]
        wanted = [one for one in wanted if one != ids[2]]

        assert (counted.sessions, counted.highest_id) == (len(wanted), max(wanted))
        done = end_some(chosen, settings, counted, Ending(by=Principal(service="x"), now=NOON))
        assert done == (len(wanted), 0)
        assert {row.id for row in left().values() if row.ended_at} == {*wanted, ids[2]}


def test_sessions_that_are_created_after_the_count_stay(app: Flask) -> None:
    criteria, ending = Criteria(networks=frozenset({"203.0.113.7/32"})), Ending(by=Principal(service="x"), now=NOON)
    settings = components_of(app).settings
    with app.app_context():
        put_active(3)
        criteria, counted = count(criteria, settings, now=NOON)
        with transaction(writes=True):
            execute(text("DELETE FROM session_owners"))
        late = put_active(2)
        done = end_some(criteria, settings, counted, ending)
        rows = left()

    assert (counted.sessions, done) == (3, (3, 0))
    assert [rows[one].ended_at for one in late] == [None, None]


def test_the_caller_repeats_it_with_what_remains(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_by_criteria, "END_SESSIONS", END_BATCH + 20)
    app = make_app()
    client, number = app.test_client(), 2 * (END_BATCH + 20) + 10
    with app.app_context(), time_machine.travel(NOON, tick=False):
        ids = put_active(number)
        answers, expected = [], number
        while expected:
            answer = body(end(client, expected=expected, **HERE))
            answers.append((answer["ended"], answer["remaining"]))
            expected = answer["remaining"]
        rows, told = left(), events()

    assert answers == [(70, 80), (70, 10), (10, 0)]
    assert {rows[one].end_reason for one in ids} == {"admin"}
    assert told == dict.fromkeys([(one, "admin") for one in ids], 1)


def test_the_callers_own_sessions_end_as_theirs_and_the_current_one_last(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_by_criteria, "END_SESSIONS", 2)
    app = make_app()
    sign_in = sign_in_with(app.test_client())
    other, own = sign_in(user_id=74), sign_in(user_id=1, role="admin", user_agent=IPHONE)
    current = sign_in(user_id=1, role="admin")

    answers = []
    for expected in (3, 2, 1):
        answer = current.post("/sessions/end", json={**HERE, "expected": expected, "because": "security"})
        answers.append((answer.status_code, answer.json["ended"], answer.json["remaining"]))
        if answer.json["remaining"] == 0:
            break

    assert answers[-1][0::2] == (200, 0)
    assert sum(ended for _, ended, _ in answers) == 3
    with app.app_context():
        rows = left()
    assert [(rows[one.id].end_reason, rows[one.id].because) for one in (other, own, current)] == [
        ("admin", "security"),
        ("revoked", None),
        ("logout", None),
    ]


def test_criteria_that_select_too_many_are_refused_with_words_that_help(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_by_criteria, "COUNT_EXAMINED", 4)
    app = make_app()
    with app.app_context(), time_machine.travel(NOON + DAY, tick=False):
        client = app.test_client()
        put_active(4)
        enough = end(client, dry_run=True, **HERE)
        with transaction(writes=True):
            execute(text("DELETE FROM session_owners"))
        (last,) = put_active(1, created_at=NOON + DAY, last_activity=NOON + DAY)
        refused = end(client, expected=9, **HERE)
        narrowed = {**HERE, "created_after": "2026-02-08T12:00:01Z"}
        counted, ended = end(client, dry_run=True, **narrowed), end(client, expected=1, **narrowed)
        rows = left()

    assert enough.json == {"count": 4}
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["criteria"])
    assert "created_after and created_before" in refused.json["errors"]["criteria"][0]
    assert (counted.json, ended.json) == ({"count": 1}, {"ended": 1, "remaining": 0})
    assert [row.id for row in rows.values() if row.ended_at] == [last]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_user_who_is_locked_elsewhere_remains_and_delays_nobody(
    client: FlaskClient, sign_in: SignIn, database_url: str
) -> None:
    locked, free = sign_in(user_id=74), sign_in(user_id=75)
    with psycopg.connect(database_url) as elsewhere:
        elsewhere.execute("SELECT 1 FROM session_owners WHERE user_id = '74' FOR UPDATE")
        first = end(client, expected=2, **HERE)
        statuses = [one.get("/sessions/validate").status_code for one in (locked, free)]
    second = end(client, expected=1, **HERE)

    assert first.json == {"ended": 1, "remaining": 1}
    assert statuses == [200, 401]
    assert second.json == {"ended": 1, "remaining": 0}


def test_a_session_that_ends_meanwhile_is_nobodys_second_end(app: Flask) -> None:
    criteria, settings = Criteria(networks=frozenset({"203.0.113.7/32"})), components_of(app).settings
    with app.app_context():
        first, second = put_active(2)
        criteria, counted = count(criteria, settings, now=NOON)
        with transaction(writes=True):
            assert session_queries.mark_all_ended("1000", End("revoked", "1000", NOON), settings.idle) == 1
        done = end_some(criteria, settings, counted, Ending(by=Principal(service="x"), now=NOON))
        rows, told = left(), events()

    assert done == (1, 0)
    assert (rows[first].end_reason, rows[second].end_reason) == ("revoked", "admin")
    assert told == {(first, "revoked"): 1, (second, "admin"): 1}
