"""`POST /sessions/create`: what becomes of a sign-in, who gives way, which bodies are refused; on both databases."""

import json

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.devices import ids, row
from tests.harness.support import CHROME, EDGE, FIREFOX, IPHONE, MakeApp, SignIn, make_token, sign_in_with

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
        "This device (Chrome on Windows 10) was signed out because of a newer sign-in from Safari on iPhone: "
        "3 devices are allowed. That was on 8 February 2026 at 10:30 UTC."
    )
    assert response.json["device_name"] == "Chrome on Windows 10"
    assert response.json["successor_device_name"] == "Safari on iPhone"
    assert "because" not in response.json
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
    assert sign_in().id > device.id


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
