"""`SESSION_LIMIT_POLICY=reject`: the refusal lists the sessions, and the repeated sign-in says which of them end."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from session_service.rules.claim_limits import ClaimLimit
from tests.harness.devices import ids, row
from tests.harness.support import CHROME, FIREFOX, IPHONE, MakeApp, SignedIn, make_token, sign_in_with


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(SESSION_LIMIT_POLICY="reject", MAX_SESSIONS_PER_USER=2)


@pytest.fixture
def devices(client: FlaskClient) -> list[SignedIn]:
    sign_in = sign_in_with(client)
    return [sign_in(user_agent=IPHONE), sign_in(user_agent=CHROME)]


def create(client: FlaskClient, *, user_id: int = 74, **kwargs: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {make_token(user_id, n=99)}", "User-Agent": FIREFOX}
    return client.post("/sessions/create", headers=headers, **kwargs)


def test_the_refusal_lists_the_sessions_to_choose_from(client: FlaskClient, devices: list[SignedIn]) -> None:
    refused = create(client)

    assert (refused.status_code, refused.json["code"]) == (409, "session_limit_reached")
    expected = [one | {"is_current": False} for one in devices[1].get("/sessions/my-sessions").json]
    times = {"last_activity", "idle_expires_at"}
    shown = [{name: value for name, value in one.items() if name not in times} for one in refused.json["sessions"]]
    assert shown == [{name: value for name, value in one.items() if name not in times} for one in expected]


def test_the_chosen_session_ends_as_the_users_own_deed(
    app: Flask, client: FlaskClient, devices: list[SignedIn]
) -> None:
    created = create(client, json={"end": [devices[0].id]})

    assert (created.status_code, created.json["evicted"]) == (201, [])
    ended = row(app, devices[0].id)
    assert (ended.end_reason, ended.ended_by, ended.successor_id) == ("revoked", "74", None)
    assert ids(devices[1]) == [devices[1].id, created.json["id"]]
    assert "signed it out from another device" in devices[0].get("/sessions/my-sessions").json["detail"]


def test_all_may_be_chosen_and_an_id_may_come_twice(client: FlaskClient, devices: list[SignedIn]) -> None:
    created = create(client, json={"end": [devices[0].id, devices[1].id, devices[0].id]})

    assert created.status_code == 201
    assert [one.get("/sessions/my-sessions").status_code for one in devices] == [401, 401]


def test_one_that_has_ended_already_makes_no_room(client: FlaskClient, devices: list[SignedIn]) -> None:
    devices[0].delete("/sessions/logout")
    other = sign_in_with(client)(user_agent="OtherApp/2")

    refused = create(client, json={"end": [devices[0].id]})

    assert (refused.status_code, refused.json["code"]) == (409, "session_limit_reached")
    assert [one["id"] for one in refused.json["sessions"]] == [other.id, devices[1].id]


def test_nothing_ends_if_too_few_are_chosen(make_app: MakeApp) -> None:
    limits = {"MAX_SESSIONS_PER_USER": 2, "SESSION_LIMITS": (ClaimLimit("plan", "free", 1),)}
    client = make_app(SESSION_LIMIT_POLICY="reject", **limits).test_client()
    sign_in = sign_in_with(client)
    devices = [sign_in(user_agent=IPHONE), sign_in(user_agent=CHROME)]

    headers = {"Authorization": f"Bearer {make_token(plan='free')}", "User-Agent": FIREFOX}
    refused = client.post("/sessions/create", headers=headers, json={"end": [devices[0].id]})

    assert refused.status_code == 409
    assert ids(devices[0]) == [devices[0].id, devices[1].id]


@pytest.mark.parametrize("which", ["a stranger's", "unknown"])
def test_a_session_of_somebody_else_is_not_found_and_nothing_ends(
    client: FlaskClient, devices: list[SignedIn], which: str
) -> None:
    stranger = sign_in_with(client)(user_id=75)
    other_id = stranger.id if which == "a stranger's" else 2**63 - 1

    refused = create(client, json={"end": [devices[0].id, other_id]})

    assert (refused.status_code, refused.json["code"]) == (404, "session_not_found")
    assert ids(devices[0]) == [devices[0].id, devices[1].id]
    assert ids(stranger) == [stranger.id]


def test_an_evicting_service_ends_the_chosen_one_instead_of_the_oldest(make_app: MakeApp) -> None:
    client = make_app(MAX_SESSIONS_PER_USER=2).test_client()
    sign_in = sign_in_with(client)
    oldest, chosen = sign_in(user_agent=IPHONE), sign_in(user_agent=CHROME)

    created = create(client, json={"end": [chosen.id]})

    assert created.json["evicted"] == []
    assert ids(oldest) == [oldest.id, created.json["id"]]


ODD_IDS: list[object] = ["1", 1, {"1": 1}, [1] * 1_001, *([one] for one in (0, -1, 2**63, "1", 1.0, True, None, [1]))]


@pytest.mark.parametrize("value", ODD_IDS)
def test_anything_but_ids_is_refused(client: FlaskClient, devices: list[SignedIn], value: object) -> None:
    refused = create(client, json={"end": value})

    assert (refused.status_code, list(refused.json["errors"])) == (422, ["end"])
    assert ids(devices[0]) == [devices[0].id, devices[1].id]


@pytest.mark.parametrize("value", [None, []])
def test_none_chosen_is_a_plain_sign_in(client: FlaskClient, value: object) -> None:
    assert create(client, json={"end": value}).status_code == 201
