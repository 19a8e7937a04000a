"""`POST /sessions/end` on both databases: counted, expected, in batches, and never more than was counted."""

from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from session_service.database import session_queries
from session_service.database.transaction import execute, transaction
from session_service.limits import END_BATCH
from session_service.records import End, Principal
from session_service.rules.criteria import Criteria
from session_service.services import end_by_criteria
from session_service.services.end_by_criteria import Ending, count, end_some
from tests.harness.purge_rows import DAY, NOON, left
from tests.harness.rows import insert_row
from tests.harness.support import IPHONE, MakeApp, SignIn, basic, body, components_of, make_token, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
SERVICE = basic("backend", CREDENTIALS["backend"])
ADMIN = {"Authorization": f"Bearer {make_token(1, role='admin')}"}
HERE: dict[str, Any] = {"address": "203.0.113.7"}


def end(client: FlaskClient, query: str = "", *, headers: dict[str, str] = ADMIN, **given: Any) -> TestResponse:
    return client.post(f"/sessions/end{query}", json=given, headers=headers)


def put_active(number: int, **columns: object) -> list[int]:
    """Put active sessions on record, of a user each; return their ids."""
    values = {"device_key": "", "device_name": "x", "device_type": "web", "browser": "x", "ip_source": "observed"}
    times = {"created_at": NOON, "last_activity": NOON, "expires_at": NOON + 30 * DAY}
    ids = []
    with transaction(writes=True):
        for user_id in range(1_000, 1_000 + number):
            execute(text("INSERT INTO session_owners VALUES (:user_id)"), {"user_id": str(user_id)})
            row = insert_row(**{**values, **times, "user_id": str(user_id), "network": "203.0.113.7/32", **columns})
            ids.append(row.id)
    return ids


def events() -> Counter[tuple[int, str]]:
    with transaction():
        return Counter(
            (row.session_id, row.reason)
            for row in execute(text("SELECT session_id, reason FROM session_events WHERE what = 'ended'"))
        )


def test_a_dry_run_counts_and_the_real_one_ends_that_many(client: FlaskClient, sign_in: SignIn, app: Flask) -> None:
    doomed = [sign_in(user_id=user_id) for user_id in (74, 75, 76)]
    spared = sign_in(user_id=77, address="198.51.100.9")
    doomed[0].delete("/sessions/logout")

    counted = end(client, dry_run=True, **HERE)
    with app.app_context():
        before = left()
    ended = end(client, expected=2, because="security", **HERE)
    again = end(client, expected=0, **HERE)

    assert (counted.status_code, counted.json) == (200, {"count": 2})
    assert not [row for row in before.values() if row.end_reason not in {None, "logout"}]
    assert (ended.status_code, ended.json) == (200, {"ended": 2, "remaining": 0})
    assert (again.status_code, again.json) == (200, {"ended": 0, "remaining": 0})
    with app.app_context():
        rows, told = left(), events()
    assert [(rows[one.id].end_reason, rows[one.id].ended_by, rows[one.id].because) for one in doomed[1:]] == [
        ("admin", "1", "security")
    ] * 2
    assert rows[doomed[0].id].end_reason == "logout"
    assert told == {(doomed[0].id, "logout"): 1, (doomed[1].id, "admin"): 1, (doomed[2].id, "admin"): 1}
    assert spared.get("/sessions/validate").status_code == 200
    assert doomed[1].get("/sessions/validate").json["because"] == "security"


def test_more_than_expected_ends_none_and_fewer_is_fine(client: FlaskClient, sign_in: SignIn) -> None:
    devices = [sign_in(user_id=user_id) for user_id in (74, 75, 76)]

    refused = end(client, expected=2, **HERE)
    still = [one.get("/sessions/validate").status_code for one in devices]
    fewer = end(client, expected=10, **HERE)

    assert (refused.status_code, refused.json["code"], refused.json["count"]) == (409, "count_changed", 3)
    assert "3 sessions would end now" in refused.json["detail"]
    assert still == [200] * 3
    assert fewer.json == {"ended": 3, "remaining": 0}


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


@pytest.mark.parametrize(
    "given",
    [{"active": False}, {"reason": "limit"}, {"reason": "idle"}, {"ended_after": "2020-01-01T00:00:00Z"}],
    ids=str,
)
def test_only_active_sessions_end(client: FlaskClient, sign_in: SignIn, given: dict[str, Any]) -> None:
    device, gone = sign_in(user_id=74), sign_in(user_id=75)
    gone.delete("/sessions/logout")

    assert end(client, dry_run=True, **HERE, **given).json == {"count": 0}
    assert end(client, expected=5, **HERE, **given).json == {"ended": 0, "remaining": 0}
    assert device.get("/sessions/validate").status_code == 200


def test_a_session_that_timed_out_unrecorded_is_not_ended_again(client: FlaskClient, app: Flask) -> None:
    with app.app_context(), time_machine.travel(NOON + 7 * DAY, tick=False):
        (idle,) = put_active(1)
        with transaction(writes=True):
            execute(text("DELETE FROM session_owners"))
        (active,) = put_active(1, last_activity=NOON + timedelta(microseconds=1))

        assert end(client, dry_run=True, **HERE).json == {"count": 1}
        assert end(client, expected=1, **HERE).json == {"ended": 1, "remaining": 0}
        rows = left()

    assert (rows[idle].ended_at, rows[active].end_reason) == (None, "admin")


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


def test_a_service_ends_by_its_name(make_app: MakeApp) -> None:
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS)
    device = sign_in_with(app.test_client())(user_id=74)

    answer = end(app.test_client(), headers=SERVICE, user_id=74, expected=1)

    assert answer.json == {"ended": 1, "remaining": 0}
    with app.app_context():
        assert left()[device.id].ended_by == "service:backend"


def test_a_user_who_is_no_admin_ends_nothing(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)

    refused = device.post("/sessions/end", json={**HERE, "expected": 1})

    assert (refused.status_code, refused.json["code"]) == (403, "admin_required")
    assert refused.json["detail"] == "Only admins can end other users' sessions"
    assert client.post("/sessions/end", json={**HERE, "expected": 1}).status_code == 401
    assert device.get("/sessions/validate").status_code == 200


def test_the_answer_waits_for_the_lease_if_that_is_asked_and_something_was_to_end(make_app: MakeApp) -> None:
    client = make_app(FEED_LEASE_SECONDS=0.2).test_client()
    sign_in_with(client)(user_id=74)

    counted = end(client, "?everywhere=true", dry_run=True, **HERE)
    ended = end(client, "?everywhere=true", expected=1, **HERE)

    assert counted.json == {"count": 1}
    assert ended.json == {"ended": 1, "remaining": 0, "everywhere": True}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({**HERE}, "expected"),
        ({**HERE, "dry_run": False}, "expected"),
        ({**HERE, "dry_run": True, "expected": 1}, "expected"),
        ({**HERE, "expected": -1}, "expected"),
        ({**HERE, "expected": "1"}, "expected"),
        ({**HERE, "expected": 1.5}, "expected"),
        ({**HERE, "expected": True}, "expected"),
        ({**HERE, "expected": None}, "expected"),
        ({**HERE, "dry_run": "true"}, "expected"),
        ({**HERE, "dry_run": 1, "expected": 1}, "dry_run"),
        ({"expected": 1}, "criteria"),
        ({"expected": 1, "active": True}, "criteria"),
        ({"expected": 1, "user_id": "74"}, "user_id"),
        ({"expected": 1, "user_id": 74.0}, "user_id"),
        ({"expected": 1, "user_id": True}, "user_id"),
        ({"expected": 1, "user_id": None}, "user_id"),
        ({"expected": 1, "user_id": 0}, "user_id"),
        ({"expected": 1, "address": None}, "address"),
        ({"expected": 1, "address": 7}, "address"),
        ({"expected": 1, "address": ["203.0.113.7"]}, "address"),
        ({"expected": 1, **HERE, "active": "true"}, "active"),
        ({"expected": 1, **HERE, "reason": "bad"}, "reason"),
        ({"expected": 1, **HERE, "because": "bad_mood"}, "because"),
        ({"expected": 1, **HERE, "limit": 1}, "limit"),
        ({"expected": 1, "network": "203.0.113.0/24"}, "network"),
    ],
    ids=str,
)
def test_a_body_that_cannot_be_meant_ends_nothing(
    client: FlaskClient, sign_in: SignIn, given: dict[str, Any], field: str
) -> None:
    device = sign_in(user_id=74)

    response = client.post("/sessions/end", json=given, headers=ADMIN)

    assert (response.status_code, response.json["code"], list(response.json["errors"])) == (
        422,
        "validation_failed",
        [field],
    )
    assert device.get("/sessions/validate").status_code == 200


@pytest.mark.parametrize("data", ["[]", '"x"', "7", "null"])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, data: str) -> None:
    response = client.post("/sessions/end", data=data, content_type="application/json", headers=ADMIN)

    assert (response.status_code, response.json["code"]) == (422, "validation_failed")


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
