"""What others ask about a token: `validate` and `introspect`, and sessions that are adopted; on both databases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from werkzeug.test import TestResponse

from session_service.database.engine import db
from tests.harness.support import (
    CHROME,
    FAR_AWAY,
    FIREFOX,
    IPHONE,
    SignedIn,
    SignIn,
    basic,
    body,
    make_token,
    sign_in_with,
)

MakeApp = Callable[..., Flask]
CREDENTIALS = {"backend": "a-secret-of-the-backend", "mail": "with:colons-and-späces"}
HOME, OFFICE = "203.0.113.7", "198.51.100.9"


def device(
    client: FlaskClient,
    token: str | None = None,
    *,
    user_agent: str | None = CHROME,
    address: str = HOME,
    **headers: str,
) -> SignedIn:
    """Return a device that has not signed in: a token and what it sends."""
    agent = {"User-Agent": user_agent} if user_agent else {}
    return SignedIn(client, {"Authorization": f"Bearer {token or make_token()}", **agent, **headers}, address, {})


def rows(app: Flask) -> list[Any]:
    with app.app_context():
        return list(db.session.execute(text("SELECT id, end_reason, successor_id FROM sessions ORDER BY id")))


def count(app: Flask, table: str) -> int:
    with app.app_context():
        return int(db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


# validate


def test_a_live_session_is_alive(sign_in: SignIn) -> None:
    phone = sign_in()

    response = phone.get("/sessions/validate")

    assert (response.status_code, response.json) == (
        200,
        {"active": True, "session_id": phone.id, "user_id": 74, "expires_at": phone.session["expires_at"]},
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
        "This device was signed out from another one of your devices. It was Safa"
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
        {"active": True, "session_id": None, "user_id": 74, "expires_at": None},
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
    with app.app_context():
        db.session.execute(text("ALTER TABLE session_tokens RENAME TO elsewhere"))
        db.session.commit()
    try:
        response = laptop.get("/sessions/validate")
    finally:
        with app.app_context():
            db.session.execute(text("ALTER TABLE elsewhere RENAME TO session_tokens"))
            db.session.commit()

    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")
    assert response.headers["Retry-After"] == "1"
    assert "X-Session-Code" not in response.headers
    assert laptop.get("/sessions/validate").status_code == 200


# adopt


@pytest.fixture
def adopting(make_app: MakeApp) -> Flask:
    return make_app(UNKNOWN_SESSION_POLICY="adopt")


ADOPTING = [
    ("GET", "/sessions/validate"),
    ("GET", "/sessions/my-sessions"),
    ("GET", "/sessions/active-devices-count"),
    ("POST", "/sessions/update-activity"),
    ("GET", "/sessions/session/1"),
    ("DELETE", "/sessions/session/1"),
    ("DELETE", "/sessions/logout-all?exclude_current=true"),
]


@pytest.mark.parametrize(("method", "path"), ADOPTING)
def test_a_token_gets_its_session_at_first_sight(adopting: Flask, method: str, path: str) -> None:
    laptop = device(adopting.test_client())

    first = laptop.call(method, path)
    sessions = body(laptop.get("/sessions/my-sessions"))

    assert first.status_code in {200, 404}
    assert [(one["device_name"], one["ip_address"], one["is_current"]) for one in sessions] == [
        ("Chrome on Windows 10", HOME, True)
    ]
    assert count(adopting, "sessions") == count(adopting, "session_tokens") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("DELETE", "/sessions/logout", 404), ("GET", "/sessions/user/74", 200), ("DELETE", "/sessions/user/74", 200)],
)
def test_neither_logout_nor_admins_calls_adopt(adopting: Flask, method: str, path: str, status: int) -> None:
    response = device(adopting.test_client(), make_token(role="admin")).call(method, path)

    assert response.status_code == status
    assert count(adopting, "sessions") == 0


def test_creating_a_session_creates_one_and_not_two(adopting: Flask) -> None:
    sign_in_with(adopting.test_client())()

    assert count(adopting, "sessions") == 1


def test_a_logged_out_token_is_not_adopted_again(adopting: Flask) -> None:
    laptop = device(adopting.test_client())
    laptop.get("/sessions/validate")

    assert laptop.delete("/sessions/logout").status_code == 200
    assert laptop.get("/sessions/validate").json["code"] == "session_ended"
    assert count(adopting, "sessions") == 1


def test_refreshed_tokens_keep_the_adopted_session(adopting: Flask) -> None:
    client = adopting.test_client()
    answers = [body(device(client, make_token(n=n)).get("/sessions/validate"))["session_id"] for n in range(5)]

    assert answers == answers[:1] * 5


def test_another_computer_takes_a_place_of_its_own_and_the_limit_holds(adopting: Flask) -> None:
    client = adopting.test_client()
    devices = [device(client, make_token(n=n), address=f"203.0.113.{n}") for n in range(1, 6)]

    answers = [one.get("/sessions/validate").status_code for one in devices]

    assert answers == [200] * 5
    assert [one[1] for one in rows(adopting)] == ["limit", "limit", None, None, None]
    assert [one.get("/sessions/validate").status_code for one in devices] == [401, 401, 200, 200, 200]


def test_a_phone_keeps_its_session_from_network_to_network(adopting: Flask) -> None:
    client = adopting.test_client()
    answers = [
        body(device(client, make_token(n=n), user_agent=IPHONE, address=f"203.0.113.{n}").get("/sessions/validate"))
        for n in range(1, 4)
    ]

    assert [one["session_id"] for one in answers] == [answers[0]["session_id"]] * 3


@pytest.mark.parametrize(("method", "path"), ADOPTING)
def test_where_no_place_is_left_the_first_sight_is_refused(make_app: MakeApp, method: str, path: str) -> None:
    app = make_app(UNKNOWN_SESSION_POLICY="adopt", SESSION_LIMIT_POLICY="reject", MAX_SESSIONS_PER_USER=1)
    client = app.test_client()
    device(client, make_token(n=1)).get("/sessions/validate")

    response = device(client, make_token(n=2), user_agent=FIREFOX).call(method, path)

    assert (response.status_code, response.json["code"]) == (401, "session_limit_reached")
    assert response.headers["X-Session-Code"] == "session_limit_reached"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert count(app, "sessions") == count(app, "session_tokens") == 1


def test_adopted_sessions_count_as_sign_ins_and_too_many_are_refused(make_app: MakeApp) -> None:
    app = make_app(UNKNOWN_SESSION_POLICY="adopt", MAX_SIGN_INS_PER_MINUTE=2)
    client = app.test_client()
    agents = (CHROME, FIREFOX, IPHONE)

    answers = [
        device(client, make_token(n=n), user_agent=agent).get("/sessions/validate") for n, agent in enumerate(agents)
    ]

    assert [one.status_code for one in answers] == [200, 200, 401]
    assert answers[2].json["code"] == answers[2].headers["X-Session-Code"] == "sign_in_rate_exceeded"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert count(app, "sessions") == 2


def test_a_sid_is_adopted_once(adopting: Flask) -> None:
    client = adopting.test_client()
    answers = [body(device(client, make_token(sid="s1", n=n)).get("/sessions/validate")) for n in range(3)]
    other = body(device(client, make_token(sid="s2"), user_agent=FIREFOX).get("/sessions/validate"))

    assert [one["session_id"] for one in answers] == [answers[0]["session_id"]] * 3
    assert other["session_id"] != answers[0]["session_id"]


# A token that was asked about before it signed in


def test_a_token_that_was_taken_for_home_and_signs_in_at_the_office_is_the_offices(client: FlaskClient) -> None:
    """A backend asks about a fresh token before the frontend has called `create`."""
    home = sign_in_with(client)(address=HOME)
    office = device(client, make_token(74, n="office"), address=OFFICE)
    assert body(office.get("/sessions/validate"))["session_id"] == home.id

    created = body(office.post("/sessions/create"))["id"]

    assert body(office.get("/sessions/validate"))["session_id"] == created
    assert office.delete("/sessions/logout").status_code == office.delete("/sessions/logout").status_code == 200
    assert office.get("/sessions/validate").json["code"] == "session_ended"
    assert body(home.get("/sessions/validate"))["session_id"] == home.id


def test_and_it_is_out_when_home_throws_it_out(client: FlaskClient) -> None:
    home = sign_in_with(client)(address=HOME)
    office = device(client, make_token(74, n="office"), address=OFFICE)
    office.get("/sessions/validate")
    created = body(office.post("/sessions/create"))["id"]

    home.delete(f"/sessions/session/{created}")

    assert office.get("/sessions/validate").json["code"] == "session_ended"
    assert office.post("/sessions/create").json["code"] == "session_ended"


def test_a_bodys_word_for_a_device_makes_no_phone_of_a_script(client: FlaskClient) -> None:
    script = {"user_agent": "okhttp/4.12.0"}
    home = sign_in_with(client)(address=HOME, **script)
    sign_in_with(client)(1, role="admin").delete(f"/sessions/session/{home.id}")
    sign_in_with(client)(address=OFFICE, body={"device_type": "mobile"}, **script)

    assert device(client, make_token(n="new"), address=HOME, **script).get("/sessions/validate").status_code == 401


# introspect


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


# Cost


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Collect the SQL statements that *app* sends."""
    seen: list[str] = []
    run = psycopg.Cursor.execute

    def execute(cursor: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(statement)
        return run(cursor, statement, *args, **kwargs)

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    with pytest.MonkeyPatch.context() as patch:
        if engine.dialect.name == "postgresql":  # its driver is also asked without SQLAlchemy
            patch.setattr(psycopg.Cursor, "execute", execute)
        else:
            event.listen(engine, "before_cursor_execute", note)
        yield seen
    if engine.dialect.name != "postgresql":
        event.remove(engine, "before_cursor_execute", note)


def verbs(seen: list[str]) -> list[str]:
    """Return what each statement does; `BEGIN` is none, and only one of the two drivers shows its own."""
    return [verb for statement in seen if (verb := statement.split()[0]) != "BEGIN"]


def test_a_check_within_the_interval_is_one_statement_and_no_write(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        laptop = sign_in_with(app.test_client())()
        clock.shift(59)
        with statements(app) as seen:
            assert laptop.get("/sessions/validate").status_code == 200
        clock.shift(1)
        with statements(app) as when_due:
            assert laptop.get("/sessions/validate").status_code == 200

    assert verbs(seen) == ["SELECT"]
    assert verbs(when_due) == ["SELECT", "UPDATE"]


def test_a_list_within_the_interval_is_two_statements_and_no_write(make_app: MakeApp) -> None:
    laptop = sign_in_with((app := make_app(ACTIVITY_INTERVAL_SECONDS=60)).test_client())()

    with statements(app) as seen:
        laptop.get("/sessions/my-sessions")
    with statements(app) as with_ended:
        laptop.get("/sessions/my-sessions?include_inactive=true")

    assert verbs(seen) == ["SELECT"] * 2
    assert verbs(with_ended) == ["SELECT"] * 3


def test_a_sign_in_is_as_many_statements_as_it_needs(app: Flask, sign_in: SignIn) -> None:
    for agent in (IPHONE, FIREFOX):
        sign_in(user_agent=agent)
    looks = ["SELECT"] * 4  # the lock; who was thrown out by this token, how often lately, who is signed in

    with statements(app) as free:
        sign_in()
    with statements(app) as evicting:
        sign_in(address=OFFICE)

    assert verbs(free) == [*looks, "INSERT", "INSERT"]
    assert verbs(evicting) == [*looks, "INSERT", "UPDATE", "INSERT"]


def test_a_refreshed_token_costs_one_look_and_one_write_once(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    client = app.test_client()
    sign_in_with(client)()
    refreshed = device(client, make_token(n="refreshed"))

    with statements(app) as first:
        refreshed.get("/sessions/validate")
    with statements(app) as second:
        refreshed.get("/sessions/validate")

    assert verbs(first) == ["SELECT"] * 5 + ["INSERT"]  # found, and found again with the owner locked
    assert verbs(second) == ["SELECT"]
