"""The endpoints that users call, on both databases."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.records import StoredSession
from tests.harness.support import ANDROID, CHROME, EDGE, FIREFOX, IPHONE, SignedIn, SignIn, make_token, sign_in_with

MakeApp = Callable[..., Flask]

SHAPE = {
    "id",
    "user_id",
    "device_name",
    "device_type",
    "browser",
    "os",
    "ip_address",
    "ip_source",
    "created_at",
    "last_activity",
    "expires_at",
    "idle_expires_at",
    "is_active",
    "is_current",
    "ended_at",
    "end_reason",
}


def row(app: Flask, session_id: int) -> StoredSession:
    """Return a session as it is on record."""
    with app.app_context(), transaction():
        found = session_queries.get(session_id)
    assert found is not None
    return found


def ids(device: SignedIn, path: str = "/sessions/my-sessions") -> list[int]:
    response = device.get(path)
    assert response.status_code == 200, response.json
    return [session["id"] for session in response.json]


def test_a_sign_in_becomes_a_session_in_the_whole_shape(sign_in: SignIn) -> None:
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False):
        device = sign_in(user_id=74)

    assert set(device.session) == SHAPE | {"evicted"}
    assert {name: value for name, value in device.session.items() if name != "id"} == {
        "user_id": 74,
        "device_name": "Chrome on Windows 10",
        "device_type": "web",
        "browser": "Chrome",
        "os": "Windows 10",
        "ip_address": "203.0.113.7",
        "ip_source": "observed",
        "created_at": "2026-02-08T10:30:00Z",
        "last_activity": "2026-02-08T10:30:00Z",
        "expires_at": "2026-03-10T10:30:00Z",
        "idle_expires_at": "2026-02-15T10:30:00Z",
        "is_active": True,
        "is_current": True,
        "ended_at": None,
        "end_reason": None,
        "evicted": [],
    }


def test_the_location_of_a_new_session_shows_it(client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {make_token()}"}

    created = client.post("/sessions/create", headers=headers)
    shown = client.get(created.headers["Location"], headers=headers)

    assert created.headers["Location"] == f"/sessions/session/{created.json['id']}"
    assert shown.json == {name: value for name, value in created.json.items() if name != "evicted"} | {
        "last_activity": shown.json["last_activity"],
        "idle_expires_at": shown.json["idle_expires_at"],
    }


def test_a_session_is_what_the_headers_show_rather_than_what_the_body_claims(sign_in: SignIn) -> None:
    body = {
        "device_fingerprint": "data:image/png;base64,iVBORw0KGgo",
        "device_name": EDGE[:100],
        "device_type": "mobile",
        "browser": "Chrome",
        "ip_address": "198.51.100.99",
    }

    session = sign_in(user_agent=EDGE, address="8.8.8.8", body=body).session

    assert (session["device_name"], session["device_type"], session["browser"]) == ("Edge on Windows 10", "web", "Edge")
    assert (session["ip_address"], session["ip_source"]) == ("8.8.8.8", "observed")


def test_the_body_tells_what_an_http_library_hides(sign_in: SignIn) -> None:
    body = {"device_name": IPHONE[:100], "ip_address": "198.51.100.99"}

    session = sign_in(user_agent="python-httpx/0.28.1", address="10.0.0.4", body=body).session

    assert (session["device_name"], session["device_type"]) == ("Safari on iPhone", "mobile")
    assert (session["ip_address"], session["ip_source"]) == ("198.51.100.99", "reported")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [(CHROME, "Chrome on Windows 10"), (FIREFOX, "Firefox on Linux"), (IPHONE, "Safari on iPhone")],
)
def test_devices_are_named_as_people_call_them(sign_in: SignIn, user_agent: str, name: str) -> None:
    assert sign_in(user_agent=user_agent).session["device_name"] == name


def test_neither_fingerprint_nor_user_agent_nor_sid_leave_the_service(sign_in: SignIn) -> None:
    device = sign_in(body={"device_fingerprint": "very-secret-print"}, sid="their-sid", jti="their-jti")

    answers = device.get("/sessions/my-sessions").text + str(device.session)

    assert not any(secret in answers for secret in ("very-secret-print", "AppleWebKit", "their-sid", "their-jti"))


@pytest.mark.parametrize("kwargs", [{}, {"json": {}}, {"json": {"device_name": None}}, {"data": b""}])
def test_a_body_may_be_left_out(client: FlaskClient, kwargs: dict[str, object]) -> None:
    response = client.post("/sessions/create", headers={"Authorization": f"Bearer {make_token()}"}, **kwargs)

    assert response.status_code == 201


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


def test_the_fourth_device_takes_the_place_of_the_first(app: Flask, sign_in: SignIn) -> None:
    first, *others = (sign_in(user_agent=agent) for agent in (IPHONE, FIREFOX, CHROME))

    newest = sign_in(user_agent=EDGE)

    (evicted,) = newest.session["evicted"]
    assert set(evicted) == SHAPE
    assert (evicted["id"], evicted["is_active"], evicted["end_reason"]) == (first.id, False, "limit")
    assert evicted["ended_at"] == newest.session["created_at"]
    assert (row(app, first.id).successor_id, row(app, first.id).ended_by) == (newest.id, "74")
    assert ids(newest) == [newest.id, *(one.id for one in reversed(others))]


def test_whoever_lost_the_place_is_told_why(sign_in: SignIn) -> None:
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False):
        first, *_ = (sign_in(user_agent=agent) for agent in (CHROME, FIREFOX, EDGE, IPHONE))

        response = first.get("/sessions/my-sessions")

    assert (response.status_code, response.json["code"], response.json["end_reason"]) == (401, "session_ended", "limit")
    assert response.json["detail"] == (
        "This device was signed out because of a newer sign-in from Safari on iPhone: 3 devices are allowed. "
        "It was Chrome on Windows 10, on 8 February 2026 at 10:30 UTC."
    )
    assert response.json["ended_at"].endswith("Z")


def test_a_token_whose_session_was_ended_by_somebody_else_opens_no_new_one(app: Flask, sign_in: SignIn) -> None:
    phone, laptop = sign_in(user_agent=IPHONE), sign_in()
    laptop.delete(f"/sessions/session/{phone.id}")

    refused = phone.post("/sessions/create")

    assert (refused.status_code, refused.json["code"], refused.json["end_reason"]) == (401, "session_ended", "revoked")
    assert ids(laptop, "/sessions/my-sessions?include_inactive=1") == [laptop.id, phone.id]


def test_calling_create_twice_does_not_help_whoever_is_thrown_out(sign_in: SignIn) -> None:
    laptop, phone = sign_in(), sign_in(user_agent=IPHONE)
    twice = phone.post("/sessions/create").json["id"]
    laptop.delete(f"/sessions/session/{twice}")

    refused = phone.post("/sessions/create")

    assert (refused.status_code, refused.json["end_reason"]) == (401, "revoked")
    assert ids(laptop) == [laptop.id]


def test_a_token_that_logged_out_stays_out_and_a_new_sign_in_is_let_in(sign_in: SignIn) -> None:
    device = sign_in()
    device.delete("/sessions/logout")

    again = device.post("/sessions/create")

    assert (again.status_code, again.json["code"], again.json["end_reason"]) == (401, "session_ended", "logout")
    assert ids(sign_in()) == [device.id + 1]


def test_the_same_device_signing_in_again_uses_no_second_place(app: Flask, sign_in: SignIn) -> None:
    first = sign_in()
    second = sign_in()

    assert second.session["evicted"] == []
    assert (row(app, first.id).end_reason, row(app, first.id).successor_id) == ("replaced", second.id)
    assert ids(second) == [second.id]


def test_where_no_one_gives_way_the_sign_in_is_refused_and_nothing_ended(make_app: MakeApp) -> None:
    sign_in = sign_in_with(make_app(SESSION_LIMIT_POLICY="reject", MAX_SESSIONS_PER_USER=1).test_client())
    device = sign_in()

    response = device.client.post(
        "/sessions/create", headers={"Authorization": f"Bearer {make_token(n=0)}", "User-Agent": IPHONE}
    )

    assert (response.status_code, response.json["code"]) == (409, "session_limit_reached")
    assert ids(device) == [device.id]


def test_too_many_sign_ins_within_a_minute_wait(make_app: MakeApp) -> None:
    sign_in = sign_in_with(make_app(MAX_SIGN_INS_PER_MINUTE=2).test_client())
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        sign_in(user_agent=IPHONE)
        clock.shift(20)
        device = sign_in()
        refused = device.post("/sessions/create")
        clock.shift(40)
        accepted = device.post("/sessions/create")

    assert (refused.status_code, refused.json["code"]) == (429, "sign_in_rate_exceeded")
    assert refused.headers["Retry-After"] == "40"
    assert accepted.status_code == 201


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


def test_byte_identical_tokens_of_two_devices_are_told_apart_by_the_device(sign_in: SignIn) -> None:
    token = make_token()
    phone = sign_in(user_agent=IPHONE, token=token)
    laptop = sign_in(user_agent=CHROME, token=token)

    phone.delete("/sessions/logout")

    assert ids(laptop) == [laptop.id]


def test_a_sid_stands_for_the_session_across_refreshed_tokens(sign_in: SignIn) -> None:
    device = sign_in(sid="s1")
    device.headers["Authorization"] = f"Bearer {make_token(sid='s1', refreshed=True)}"

    assert [one["is_current"] for one in device.get("/sessions/my-sessions").json] == [True]
    assert device.delete("/sessions/logout").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"unknown": 1}, ["unknown"]),
        ({"browser": 1}, ["browser"]),
        ({"browser": ["Chrome"]}, ["browser"]),
        ({"device_name": "x" * 256}, ["device_name"]),
        ({"device_name": "a\0b"}, ["device_name"]),
        ({"device_fingerprint": "\ud800"}, ["device_fingerprint"]),
        ({"browser": True, "ip_address": {}}, ["browser", "ip_address"]),
        ([], ["_schema"]),
        ("text", ["_schema"]),
    ],
)
def test_bodies_that_break_a_rule_are_refused_by_field(client: FlaskClient, body: object, fields: list[str]) -> None:
    headers = {"Authorization": f"Bearer {make_token()}"}

    response = client.post("/sessions/create", headers=headers, data=json.dumps(body), content_type="application/json")

    assert (response.status_code, response.json["code"]) == (422, "validation_failed")
    assert sorted(response.json["errors"]) == fields
    assert client.get("/sessions/my-sessions", headers=headers).json == []


def test_a_text_that_is_too_long_is_told_just_that(client: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {make_token()}"}

    response = client.post("/sessions/create", headers=headers, json={"browser": "x" * 256})

    assert response.json["errors"] == {"browser": ["Longer than maximum length 255."]}


@pytest.mark.parametrize("path", ["/sessions/update-activity", "/sessions/create"])
def test_no_endpoint_takes_a_large_body(sign_in: SignIn, path: str) -> None:
    response = sign_in().post(path, data=b" " * 16_385, content_type="application/json")

    assert (response.status_code, response.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("length", [0, 1, 255])
def test_texts_up_to_255_characters_are_taken(sign_in: SignIn, length: int) -> None:
    assert sign_in(body={"device_name": "x" * length, "device_fingerprint": "é" * length}).id


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b'{"browser": NaN}', "application/json", 400, "invalid_json"),
        (b'{"browser": "a", "browser": "b"}', "application/json", 400, "invalid_json"),
        (b"[" * 16_000, "application/json", 400, "invalid_json"),
        (b'{"\\ud800": 1}', "application/json", 400, "invalid_json"),
        (b'{"browser": {"a\\u0000": 1}}', "application/json", 400, "invalid_json"),
        (b'{"browser": "\xff"}', "application/json", 400, "invalid_json"),
        (b'{"browser": ' + b"9" * 5000 + b"}", "application/json", 400, "invalid_json"),
        (b"null", "application/json", 422, "validation_failed"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "", 415, "unsupported_media_type"),
        (b'{"browser": "' + b"x" * 16_384 + b'"}', "application/json", 413, "body_too_large"),
    ],
)
def test_bodies_that_are_no_json_are_refused(
    client: FlaskClient, data: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {make_token()}"}

    response = client.post("/sessions/create", headers=headers, data=data, content_type=content_type)

    assert (response.status_code, response.json["code"]) == (status, code)
    assert client.get("/sessions/my-sessions", headers=headers).json == []


def test_the_callers_own_session_comes_first_where_activity_is_not_written_each_time(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(ACTIVITY_INTERVAL_SECONDS=3_600).test_client()
    sign_in = sign_in_with(client)
    devices = [sign_in(user_agent=agent) for agent in (CHROME, FIREFOX, IPHONE)]

    for device in devices:
        listed = [one["id"] for one in device.get("/sessions/my-sessions").json]
        assert listed == [device.id, *(one.id for one in reversed(devices) if one is not device)]
