"""`GET /sessions/search` over HTTP, on both databases: who may ask, what is refused, and what an answer has."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.harness.support import MakeApp, SignIn, basic, body, make_token, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
ADMIN = {"Authorization": f"Bearer {make_token(1, role='admin')}"}


def ask(client: FlaskClient, query: str, headers: dict[str, str] = ADMIN) -> Any:
    response = client.get(f"/sessions/search?{query}", headers=headers)
    assert response.status_code == 200, response.json
    return response.json


def test_the_answer_has_sessions_as_admins_see_them(make_app: MakeApp) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    sign_in = sign_in_with(client)
    device, other = sign_in(user_id=74), sign_in(user_id=75, address="198.51.100.9")
    client.delete(f"/sessions/session/{device.id}", headers=ADMIN)

    by_admin = ask(client, "address=203.0.113.7")
    by_service = ask(client, "user_id=75&active=true", basic("backend", CREDENTIALS["backend"]))

    listed = client.get("/sessions/user/74?include_inactive=1", headers=ADMIN).json
    assert by_admin == {"sessions": listed, "next": None}
    assert (by_admin["sessions"][0]["ended_by"], by_admin["sessions"][0]["end_reason"]) == ("1", "admin")
    assert [one["id"] for one in by_service["sessions"]] == [other.id]


def test_pages_follow_each_other_by_their_cursor(client: FlaskClient, sign_in: SignIn) -> None:
    ids = [sign_in(user_id=user_id).id for user_id in range(100, 105)]

    first = ask(client, "network=203.0.113.7/32&limit=2")
    second = ask(client, f"network=203.0.113.7/32&limit=2&after={first['next']}")
    third = ask(client, f"network=203.0.113.7/32&limit=2&after={second['next']}")

    found = [[one["id"] for one in page["sessions"]] for page in (first, second, third)]
    assert found == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert third["next"] is None


def test_the_callers_own_session_is_marked(sign_in: SignIn) -> None:
    admin = sign_in(user_id=1, role="admin")
    sign_in(user_id=74)

    found = body(admin.get("/sessions/search?created_after=2020-01-01T00:00:00Z"))["sessions"]

    assert {one["user_id"]: one["is_current"] for one in found} == {1: True, 74: False}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "criteria"),
        ("active=true&os=iOS", "criteria"),
        ("user_id=x", "user_id"),
        ("user_id=", "user_id"),
        ("user_id=74&user_id=75", "user_id"),
        ("address=somewhere", "address"),
        ("network=203.0.113.0/24", "network"),
        ("user_id=74&reason=bad", "reason"),
        ("user_id=74&device_type=car", "device_type"),
        ("user_id=74&active=maybe", "active"),
        ("user_id=74&created_after=2026-02-08T12:00:00", "created_after"),
        ("user_id=74&limit=0", "limit"),
        ("user_id=74&limit=101", "limit"),
        ("user_id=74&limit=1.5", "limit"),
        ("user_id=74&after=x", "after"),
        ("user_id=74&divice_name=x", "divice_name"),
        ("user_id=74&device_name=%00", "device_name"),
        ("user_id=74&last_activity_after=2026-02-08T12:00:00Z", "last_activity_after"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused_by_field(client: FlaskClient, query: str, field: str) -> None:
    response = client.get(f"/sessions/search?{query}", headers=ADMIN)

    assert (response.status_code, response.json["code"], list(response.json["errors"])) == (
        422,
        "validation_failed",
        [field],
    )


def test_a_user_who_is_no_admin_finds_nothing(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)

    refused = device.get("/sessions/search?user_id=74")

    assert (refused.status_code, refused.json["code"]) == (403, "admin_required")
    assert client.get("/sessions/search?user_id=74").status_code == 401


def test_masked_addresses_are_found_by_their_network_and_by_any_address_in_it(make_app: MakeApp) -> None:
    client = make_app(MASK_ADDRESSES=True).test_client()
    device = sign_in_with(client)(user_id=74)

    for query in ("network=203.0.113.0/24", "address=203.0.113.99"):
        assert [one["id"] for one in ask(client, query)["sessions"]] == [device.id]
    assert client.get("/sessions/search?network=203.0.113.7/32", headers=ADMIN).status_code == 422


def test_a_text_of_a_users_id_is_found(make_app: MakeApp) -> None:
    client = make_app(USER_ID_TYPE="string", ADMIN_USER_IDS=("1",)).test_client()
    device = sign_in_with(client)(user_id="auth0|7 é")

    headers = {"Authorization": f"Bearer {make_token('1')}"}
    assert [one["id"] for one in ask(client, "user_id=auth0%7C7%20%C3%A9", headers)["sessions"]] == [device.id]


def test_an_hour_of_the_search_is_that_of_its_offset(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)
    at = datetime.fromisoformat(device.session["created_at"])
    east = (at + timedelta(hours=5)).isoformat().replace("+00:00", "%2B05:00")

    assert [one["id"] for one in ask(client, f"created_after={east}")["sessions"]] == [device.id]
    assert ask(client, f"created_before={east}")["sessions"] == []
