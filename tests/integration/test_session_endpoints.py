"""The endpoints that users call, on both databases."""

from datetime import datetime

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.devices import ids, row
from tests.harness.support import ANDROID, CHROME, FIREFOX, IPHONE, MakeApp, SignIn, make_token, sign_in_with


def test_my_sessions_are_the_active_ones_the_last_active_first(sign_in: SignIn) -> None:
    first = sign_in(user_agent=CHROME)
    second = sign_in(user_agent=FIREFOX)
    sign_in(user_id=75)
    ended = sign_in(user_agent=ANDROID)
    ended.delete("/sessions/logout")

    assert ids(second) == [second.id, first.id]
    assert ids(first) == [first.id, second.id]
    assert [one["is_current"] for one in first.get("/sessions/my-sessions").json] == [True, False]


def test_include_inactive_adds_the_ended_ones(sign_in: SignIn) -> None:
    ended, active = sign_in(user_agent=ANDROID), sign_in()
    ended.delete("/sessions/logout")

    listed = active.get("/sessions/my-sessions?include_inactive=true").json

    assert [(one["id"], one["is_active"], one["end_reason"]) for one in listed] == [
        (active.id, True, None),
        (ended.id, False, "logout"),
    ]


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "True"])
def test_flags_are_read_in_any_case(sign_in: SignIn, value: str) -> None:
    ended, active = sign_in(user_agent=ANDROID), sign_in()
    ended.delete("/sessions/logout")

    assert len(ids(active, f"/sessions/my-sessions?include_inactive={value}")) == 2


@pytest.mark.parametrize("value", ["yes", "", "2", "1&include_inactive=1"])
def test_odd_flags_are_refused_by_name(sign_in: SignIn, value: str) -> None:
    response = sign_in().get(f"/sessions/my-sessions?include_inactive={value}")

    assert (response.status_code, response.json["code"]) == (422, "validation_failed")
    assert list(response.json["errors"]) == ["include_inactive"]


def test_unknown_query_parameters_are_ignored(sign_in: SignIn) -> None:
    assert sign_in().get("/sessions/my-sessions?token=x&token=y").status_code == 200


def test_user_cannot_see_or_end_somebody_elses_session(app: Flask, sign_in: SignIn) -> None:
    victim, attacker = sign_in(user_id=1), sign_in(user_id=2)

    for call in (attacker.get, attacker.delete):
        strange, unknown = call(f"/sessions/session/{victim.id}"), call("/sessions/session/999999")

        assert (strange.status_code, strange.json["code"]) == (404, "session_not_found")
        assert strange.json | {"request_id": ""} == unknown.json | {"request_id": ""}
        volatile = {"X-Request-ID", "Date"}
        assert {name: value for name, value in strange.headers if name not in volatile} == {
            name: value for name, value in unknown.headers if name not in volatile
        }
    assert row(app, victim.id).ended_at is None


@pytest.mark.parametrize(
    "session_id", ["0", "-1", "01", "9223372036854775807", "9223372036854775808", "9" * 5000, "x", "٧٤"]
)
def test_ids_that_nobody_has_are_unknown(sign_in: SignIn, session_id: str) -> None:
    response = sign_in().get(f"/sessions/session/{session_id}")

    assert (response.status_code, response.json["code"]) == (404, "session_not_found")


def test_ending_another_session_of_mine_revokes_it_and_repeating_changes_nothing(app: Flask, sign_in: SignIn) -> None:
    phone, laptop = sign_in(user_agent=IPHONE), sign_in()

    first = laptop.delete(f"/sessions/session/{phone.id}")
    ended = row(app, phone.id)
    second = laptop.delete(f"/sessions/session/{phone.id}")

    assert first.status_code == second.status_code == 200
    assert first.json == second.json == {"success": True, "message": "Session closed successfully"}
    assert (ended.end_reason, ended.ended_by) == ("revoked", "74")
    assert row(app, phone.id) == ended


def test_ending_my_own_session_by_id_is_a_logout_and_the_token_is_out(app: Flask, sign_in: SignIn) -> None:
    device = sign_in()

    assert device.delete(f"/sessions/session/{device.id}").status_code == 200
    again = device.delete(f"/sessions/session/{device.id}")

    assert (again.status_code, again.json["code"], again.json["end_reason"]) == (401, "session_ended", "logout")
    assert row(app, device.id).end_reason == "logout"


def test_logout_ends_the_current_session_alone_and_repeating_gives_the_same(app: Flask, sign_in: SignIn) -> None:
    phone, laptop = sign_in(user_agent=IPHONE), sign_in()

    answers = [phone.delete("/sessions/logout") for _ in range(2)]

    assert [answer.json for answer in answers] == 2 * [
        {"success": True, "message": "Current session closed successfully"}
    ]
    assert (row(app, phone.id).end_reason, row(app, laptop.id).end_reason) == ("logout", None)


def test_logout_without_a_token_closes_nothing(app: Flask, client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in()

    response = client.delete("/sessions/logout")

    assert (response.status_code, response.json["code"]) == (401, "token_missing")
    assert row(app, device.id).ended_at is None


def test_logout_of_a_token_without_a_session_says_that_there_is_none(client: FlaskClient) -> None:
    response = client.delete("/sessions/logout", headers={"Authorization": f"Bearer {make_token()}"})

    assert (response.status_code, response.json["code"]) == (404, "no_current_session")


def test_logout_all_ends_everything_of_mine_and_nothing_of_others(app: Flask, sign_in: SignIn) -> None:
    phone, laptop, stranger = sign_in(user_agent=IPHONE), sign_in(), sign_in(user_id=75)

    response = laptop.delete("/sessions/logout-all")

    assert response.json == {"success": True, "message": "2 sessions closed successfully", "closed": 2}
    reasons = {one.id: row(app, one.id).end_reason for one in (phone, laptop, stranger)}
    assert reasons == {phone.id: "revoked", laptop.id: "logout", stranger.id: None}


def test_logout_all_but_this_one(app: Flask, sign_in: SignIn) -> None:
    phone, laptop = sign_in(user_agent=IPHONE), sign_in()

    response = laptop.delete("/sessions/logout-all?exclude_current=true")

    assert response.json == {"success": True, "message": "1 session closed successfully", "closed": 1}
    assert (row(app, phone.id).end_reason, row(app, laptop.id).end_reason) == ("revoked", None)


def test_logout_all_but_the_current_one_closes_nothing_where_that_cannot_be_told(app: Flask, sign_in: SignIn) -> None:
    device = sign_in()
    device.headers |= {"Authorization": f"Bearer {make_token(refreshed=True)}", "User-Agent": FIREFOX}

    response = device.delete("/sessions/logout-all?exclude_current=true")

    assert (response.status_code, response.json["code"]) == (409, "current_session_unknown")
    assert row(app, device.id).ended_at is None


def test_devices_are_counted(sign_in: SignIn) -> None:
    sign_in(user_agent=IPHONE)
    device = sign_in()
    sign_in(user_id=75)

    assert device.get("/sessions/active-devices-count").json == {"active_devices": 2, "max_devices": 3}


def test_update_activity_writes_at_once(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=3600)
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        device = sign_in_with(app.test_client())()
        clock.shift(5)
        device.get("/sessions/my-sessions")
        throttled = row(app, device.id).last_activity
        response = device.post("/sessions/update-activity")

    assert throttled == datetime.fromisoformat("2026-02-08T10:30:00Z")
    assert (response.status_code, response.json["last_activity"]) == (200, "2026-02-08T10:30:05Z")
    assert row(app, device.id).last_activity == datetime.fromisoformat("2026-02-08T10:30:05Z")


def test_any_call_of_a_session_moves_its_activity_once_in_a_while(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        device = sign_in_with(app.test_client())()
        seen = []
        for seconds in (59, 1, 30, 30):
            clock.shift(seconds)
            device.get("/sessions/active-devices-count")
            seen.append(row(app, device.id).last_activity.strftime("%H:%M:%S"))

    assert seen == ["10:30:00", "10:31:00", "10:31:00", "10:32:00"]


def test_update_activity_without_a_session_says_so(client: FlaskClient) -> None:
    response = client.post("/sessions/update-activity", headers={"Authorization": f"Bearer {make_token()}"})

    assert (response.status_code, response.json["code"]) == (404, "no_current_session")


def test_time_limits_end_a_session_without_anybody_recording_it(make_app: MakeApp) -> None:
    app = make_app(SESSION_IDLE_SECONDS=3600)
    sign_in = sign_in_with(app.test_client())
    with time_machine.travel("2026-02-08T10:00:00Z", tick=False) as clock:
        idle = sign_in(user_agent=IPHONE)
        clock.shift(3600)
        response, unrecorded = idle.get("/sessions/my-sessions"), row(app, idle.id)
        other = sign_in()
        listed = other.get("/sessions/my-sessions?include_inactive=true").json[1]
        closed = other.delete("/sessions/logout-all?exclude_current=true").json

    assert (response.status_code, response.json["code"], response.json["end_reason"]) == (401, "session_ended", "idle")
    assert (listed["id"], listed["is_active"], listed["end_reason"]) == (idle.id, False, "idle")
    assert listed["ended_at"] == "2026-02-08T11:00:00Z"
    assert unrecorded.ended_at is None
    assert (closed["closed"], row(app, idle.id).end_reason) == (0, "idle")
    assert other.session["evicted"] == []


@pytest.mark.parametrize("path", ["/sessions/update-activity", "/sessions/create"])
def test_no_endpoint_takes_a_large_body(sign_in: SignIn, path: str) -> None:
    response = sign_in().post(path, data=b" " * 16_385, content_type="application/json")

    assert (response.status_code, response.json["code"]) == (413, "body_too_large")


def test_the_callers_own_session_comes_first_where_activity_is_not_written_each_time(
    make_app: MakeApp,
) -> None:
    client = make_app(ACTIVITY_INTERVAL_SECONDS=3_600).test_client()
    sign_in = sign_in_with(client)
    devices = [sign_in(user_agent=agent) for agent in (CHROME, FIREFOX, IPHONE)]

    for device in devices:
        listed = [one["id"] for one in device.get("/sessions/my-sessions").json]
        assert listed == [device.id, *(one.id for one in reversed(devices) if one is not device)]
