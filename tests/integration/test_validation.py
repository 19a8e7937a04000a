"""What others ask about a token: `validate` and `introspect`, and sessions that are adopted; on both databases."""

from pathlib import Path
from urllib.parse import unquote

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.devices import HOME, count, device
from tests.harness.rows import missing_table
from tests.harness.support import CHROME, IPHONE, MakeApp, SignIn, body, make_token, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend"}


# validate


def test_a_live_session_is_alive(sign_in: SignIn) -> None:
    phone = sign_in()

    response = phone.get("/sessions/validate")

    assert (response.status_code, response.json) == (
        200,
        {
            "active": True,
            "session_id": phone.id,
            "user_id": 74,
            "expires_at": phone.session["expires_at"],
            "idle_expires_at": response.json["idle_expires_at"],  # later than before, by this call
        },
    )
    assert response.headers["X-Session-Id"] == str(phone.id)
    assert response.headers["X-User-Id"] == "74"
    assert response.headers["Cache-Control"] == "no-store"


def test_it_counts_as_activity(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        laptop = sign_in_with(app.test_client())()
        clock.shift(59)
        laptop.get("/sessions/validate")
        early = body(laptop.get("/sessions/my-sessions"))[0]["last_activity"]
        clock.shift(1)
        laptop.get("/sessions/validate")
        late = body(laptop.get("/sessions/my-sessions"))[0]["last_activity"]

    assert (early, late) == ("2026-02-08T10:30:00Z", "2026-02-08T10:31:00Z")


def test_an_ended_session_is_refused_with_its_code_in_a_header(sign_in: SignIn) -> None:
    laptop, phone = sign_in(), sign_in(user_agent=IPHONE)
    laptop.delete(f"/sessions/session/{phone.id}")

    response = phone.get("/sessions/validate")

    assert (response.status_code, response.json["code"], response.json["end_reason"]) == (
        401,
        "session_ended",
        "revoked",
    )
    assert response.headers["X-Session-Code"] == "session_ended"
    assert response.json["detail"].startswith(
        "This device (Safari on iPhone) was signed out because you signed it out "
    )
    assert "X-Session-Id" not in response.headers


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ({}, "token_missing"),
        ({"Authorization": "Bearer nonsense"}, "token_invalid"),
        ({"Authorization": "Basic YmFja2VuZDphLXNlY3JldC1vZi10aGUtYmFja2VuZA=="}, "token_missing"),
        ({"Authorization": f"Bearer {make_token(exp=1)}"}, "token_expired"),
        ({"Authorization": f"Bearer {make_token()}"}, "session_unknown"),
    ],
)
def test_every_refusal_names_its_code_in_a_header(make_app: MakeApp, authorization: dict[str, str], code: str) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()

    response = client.get("/sessions/validate", headers=authorization)

    assert (response.status_code, response.json["code"]) == (401, code)
    assert response.headers["X-Session-Code"] == code
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"User-Agent": CHROME, "X-Forwarded-For": HOME}, ""),
        ({"User-Agent": CHROME}, " The request came without X-Forwarded-For: send on what the caller sent."),
        ({"User-Agent": "", "X-Forwarded-For": HOME}, ""),
        ({}, " The request came without User-Agent and X-Forwarded-For: send on what the caller sent."),
    ],
)
def test_a_token_without_a_session_is_unknown_and_missing_headers_are_named(
    app: Flask, sent: dict[str, str], named: str
) -> None:
    client = app.test_client()
    client.environ_base.pop("HTTP_USER_AGENT", None)

    response = client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token()}", **sent})

    assert (response.status_code, response.json["code"]) == (401, "session_unknown")
    assert response.json["detail"] == f"No session belongs to this sign-in. Please sign in again.{named}"
    assert count(app, "sessions") == 0


def test_other_endpoints_do_not_mind_a_token_without_a_session(client: FlaskClient) -> None:
    stranger = device(client)

    assert stranger.get("/sessions/my-sessions").json == []
    assert stranger.get("/sessions/active-devices-count").json == {"active_devices": 0, "max_devices": 3}
    assert stranger.delete("/sessions/logout").json["code"] == "no_current_session"


def test_where_it_is_allowed_a_token_may_do_without_a_session(make_app: MakeApp) -> None:
    app = make_app(UNKNOWN_SESSION_POLICY="allow")
    client = app.test_client()

    response = device(client).get("/sessions/validate")

    assert (response.status_code, response.json) == (
        200,
        {"active": True, "session_id": None, "user_id": 74, "expires_at": None, "idle_expires_at": None},
    )
    assert response.headers["X-User-Id"] == "74"
    assert "X-Session-Id" not in response.headers
    assert count(app, "sessions") == count(app, "session_tokens") == 0


def test_where_it_is_allowed_an_ended_session_is_refused_all_the_same(make_app: MakeApp) -> None:
    laptop = sign_in_with(make_app(UNKNOWN_SESSION_POLICY="allow").test_client())()
    laptop.delete("/sessions/logout")

    assert laptop.get("/sessions/validate").json["code"] == "session_ended"


@pytest.mark.parametrize(
    "user_id", ["auth0|64f", "someone@example.com", "two words", "line\r\nX-Session-Id: 1", "100%", "Zoë", "a/b?c#d"]
)
def test_a_user_id_of_any_text_is_one_line_of_a_header(make_app: MakeApp, user_id: str) -> None:
    client = make_app(USER_ID_TYPE="string", UNKNOWN_SESSION_POLICY="allow").test_client()

    response = device(client, make_token(user_id)).get("/sessions/validate")

    assert response.json["user_id"] == user_id
    assert response.headers["X-User-Id"].isascii()
    assert unquote(response.headers["X-User-Id"]) == user_id
    assert "X-Session-Id" not in response.headers


def test_a_database_that_does_not_answer_is_neither_yes_nor_no(tmp_path: Path, make_app: MakeApp) -> None:
    app = make_app()
    laptop = sign_in_with(app.test_client())()
    with missing_table(app, "session_tokens"):
        response = laptop.get("/sessions/validate")

    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")
    assert response.headers["Retry-After"] == "1"
    assert "X-Session-Code" not in response.headers
    assert laptop.get("/sessions/validate").status_code == 200


# adopt


# A token that was asked about before it signed in


# introspect


# Cost
