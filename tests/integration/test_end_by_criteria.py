"""`POST /sessions/end` on both databases: counted, expected, in batches, and never more than was counted."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from session_service.database.transaction import execute, transaction
from tests.harness.many_sessions import ADMIN, HERE, end, events, put_active
from tests.harness.purge_rows import DAY, NOON, left
from tests.harness.support import MakeApp, SignIn, basic, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
SERVICE = basic("backend", CREDENTIALS["backend"])


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
