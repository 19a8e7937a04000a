"""`POST /sessions/introspect`: what services learn of a token that they were handed; on both databases."""

from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from session_service.database.engine import db
from tests.harness.devices import count
from tests.harness.support import FAR_AWAY, IPHONE, MakeApp, SignedIn, basic, body, make_token, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend", "mail": "with:colons-and-späces"}
BACKEND = basic("backend", CREDENTIALS["backend"])


def ask(client: FlaskClient, token: str, **kwargs: Any) -> TestResponse:
    return client.post("/sessions/introspect", data={"token": token}, headers=BACKEND, **kwargs)


@pytest.fixture
def for_services(make_app: MakeApp) -> Flask:
    return make_app(SERVICE_CREDENTIALS=CREDENTIALS)


def bearer_of(device: SignedIn) -> str:
    return device.headers["Authorization"].removeprefix("Bearer ")


def test_a_service_learns_whose_token_it_was_handed(for_services: Flask) -> None:
    client = for_services.test_client()
    phone = sign_in_with(client)(user_agent=IPHONE)

    response = ask(client, bearer_of(phone))

    assert (response.status_code, response.json) == (
        200,
        {"active": True, "sub": "74", "exp": FAR_AWAY, "session_id": phone.id},
    )
    assert response.headers["Cache-Control"] == "no-store"


def test_a_sid_and_a_huge_exp_are_given_as_they_are(for_services: Flask) -> None:
    client = for_services.test_client()
    phone = sign_in_with(client)(sid="s-1", exp=131_000_000_000_000)

    answer = body(ask(client, bearer_of(phone)))

    assert answer == {"active": True, "sub": "74", "exp": 131_000_000_000_000, "session_id": phone.id, "sid": "s-1"}


@pytest.mark.parametrize("end", ["/sessions/logout", "/sessions/logout-all"])
def test_of_an_ended_session_nothing_is_told(for_services: Flask, end: str) -> None:
    client = for_services.test_client()
    phone = sign_in_with(client)(sid="s-1")
    phone.delete(end)

    assert body(ask(client, bearer_of(phone))) == {"active": False}


BAD_TOKENS = {
    "empty": "",
    "words": "not a token",
    "expired": make_token(exp=1),
    "another key": make_token(key="another-secret-with-bytes-enough-in-it"),
    "a refresh token": make_token(type="refresh"),
    "no user": make_token(None),
    "cut": make_token()[:-1],
    "too long": make_token(padding="x" * 5_000),
    "not ASCII": "ö.ö.ö",
    "NUL": make_token() + "\0",
    "without a session": make_token(n=99),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_of_a_token_that_is_no_good_nothing_is_told(for_services: Flask, name: str) -> None:
    response = ask(for_services.test_client(), BAD_TOKENS[name])

    assert (response.status_code, response.json) == (200, {"active": False})


@pytest.mark.parametrize("policy", ["allow", "adopt"])
def test_a_token_without_a_session_is_active_where_that_is_allowed(make_app: MakeApp, policy: str) -> None:
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS, UNKNOWN_SESSION_POLICY=policy)

    answer = body(ask(app.test_client(), make_token()))

    assert answer == {"active": True, "sub": "74", "exp": FAR_AWAY, "session_id": None}
    assert count(app, "sessions") == 0


def test_asking_is_no_activity_and_remembers_nothing(make_app: MakeApp) -> None:
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS, ACTIVITY_INTERVAL_SECONDS=0)
    client = app.test_client()
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        phone = sign_in_with(client)()
        clock.shift(100)
        assert body(ask(client, bearer_of(phone)))["active"]
        assert body(ask(client, make_token(n="refreshed"))) == {"active": False}

    assert count(app, "session_tokens") == 1
    with app.app_context():
        moved = db.session.execute(text("SELECT count(*) FROM sessions WHERE last_activity > created_at")).scalar()
    assert moved == 0


def test_the_services_own_user_agent_says_nothing_of_the_tokens_device(for_services: Flask) -> None:
    """Two sign-ins in one second: the one that ended came from a device that the service's library looks like."""
    client, sign_in = for_services.test_client(), sign_in_with(for_services.test_client())
    token = make_token(n="shared")
    first, second = sign_in(token=token, user_agent="python-requests/2.32"), sign_in(token=token)
    second.delete(f"/sessions/session/{first.id}")

    response = client.post(
        "/sessions/introspect", data={"token": token}, headers={**BACKEND, "User-Agent": "python-requests/2.32"}
    )

    assert body(response)["session_id"] == second.id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic \xe9\xe9"},
        {"Authorization": "Basic Zm9v\xa0"},
        {"Authorization": "Basic /w=="},
        {"Authorization": "Basic AA=="},
        {"Authorization": f'Digest username="backend", password="{CREDENTIALS["backend"]}"'},
        {"Authorization": BACKEND["Authorization"].replace("Basic", "Bearer")},
        basic("backend", "wrong"),
        basic("backend", ""),
        basic("backend", CREDENTIALS["mail"]),
        {"Authorization": f"Bearer {make_token(role='admin')}"},
    ],
)
def test_only_services_may_ask(for_services: Flask, headers: dict[str, str]) -> None:
    response = for_services.test_client().post("/sessions/introspect", data={"token": make_token()}, headers=headers)

    assert (response.status_code, response.json["code"]) == (401, "service_required")
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_secret_may_hold_colons_and_any_letters(for_services: Flask) -> None:
    response = for_services.test_client().post(
        "/sessions/introspect", data={"token": ""}, headers=basic("mail", CREDENTIALS["mail"])
    )

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 422, "validation_failed"),
        ({"data": {"token_type_hint": "access_token"}}, 422, "validation_failed"),
        ({"data": "token=a&token=b", "content_type": "application/x-www-form-urlencoded"}, 422, "validation_failed"),
        ({"json": {"token": "a"}}, 415, "unsupported_media_type"),
        ({"data": b"token=a", "content_type": "text/plain"}, 415, "unsupported_media_type"),
        ({"data": {"token": "x" * 17_000}}, 413, "body_too_large"),
        ({"query_string": {"token": make_token()}}, 422, "validation_failed"),
        ({"data": b"token=\xff\xfe", "content_type": "application/x-www-form-urlencoded"}, 200, None),
        ({"data": b"token=%ff%00", "content_type": "application/x-www-form-urlencoded"}, 200, None),
        ({"data": b"token=a&x=1&x=2", "content_type": "application/x-www-form-urlencoded; charset=UTF-8"}, 200, None),
    ],
)
def test_the_form_is_read_strictly(for_services: Flask, sent: dict[str, Any], status: int, code: str | None) -> None:
    response = for_services.test_client().post("/sessions/introspect", headers=BACKEND, **sent)

    assert (response.status_code, body(response).get("code")) == (status, code)
