"""The endpoints for admins and services, on both databases; first the four cases that testers try."""

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from session_service.clock import utcnow
from session_service.errors import UserNotFound
from session_service.records import Principal
from tests.harness.support import IPHONE, MakeApp, SignIn, basic, body, components_of, make_token, sign_in_with

CREDENTIALS = {"backend": "a-secret-of-the-backend", "billing": "another-secret-of-billing"}

ASKED: list[str] = []
"""The users that the auth server was asked for, or the path if that was another one."""


def bearer(user_id: object = 1, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(user_id, **claims)}"}


ADMIN = bearer(1, role="admin")


@pytest.fixture
def auth_server() -> Iterator[str]:
    """Run an auth server that knows users up to 99; return the address of its users."""

    ASKED.clear()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place, _, segment = self.path.rpartition("/")
            ASKED.append(unquote(segment) if place == "/user/id" else self.path)
            user_id = int(segment) if segment.isdecimal() else 100
            is_admin = self.headers["Authorization"] == ADMIN["Authorization"]
            status = {500: 500, 302: 302}.get(user_id, 200 if user_id < 100 else 404) if is_admin else 403
            answer = b'{"password": "$2b$12$hash"}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Location", "/user/id/1")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/user/id/{{user_id}}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_admin_reads_another_users_sessions(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)
    sign_in(user_id=75)

    response = client.get("/sessions/user/74", headers=ADMIN)

    assert response.status_code == 200
    assert [(one["id"], one["user_id"], one["is_current"]) for one in response.json] == [(device.id, 74, False)]


def test_a_user_who_is_no_admin_is_told_that_only_admins_may(client: FlaskClient, sign_in: SignIn) -> None:
    sign_in(user_id=74)

    for user_id in (74, 75):
        response = client.get("/sessions/user/74", headers=bearer(user_id, role="user"))

        assert (response.status_code, response.json["code"]) == (403, "admin_required")
        assert response.json["detail"] == "Only admins can view other users' sessions"


def test_a_user_without_sessions_has_an_empty_list(client: FlaskClient) -> None:
    response = client.get("/sessions/user/74", headers=ADMIN)

    assert (response.status_code, response.json) == (200, [])


def test_a_user_whom_nobody_knows_is_not_found(make_app: MakeApp, auth_server: str) -> None:
    client = make_app(AUTH_SERVER_USER_URL=auth_server).test_client()

    known, unknown = (client.get(f"/sessions/user/{user_id}", headers=ADMIN) for user_id in (99, 100))

    assert (known.status_code, known.json) == (200, [])
    assert (unknown.status_code, unknown.json["code"], unknown.json["detail"]) == (
        404,
        "user_not_found",
        "User not found",
    )


def test_a_user_of_whom_there_are_sessions_is_known_without_asking(make_app: MakeApp, auth_server: str) -> None:
    client = make_app(AUTH_SERVER_USER_URL=auth_server).test_client()
    device = sign_in_with(client)(user_id=100)
    device.delete("/sessions/logout")

    response = client.get("/sessions/user/100", headers=ADMIN)

    assert (response.status_code, response.json) == (200, [])


@pytest.mark.parametrize("user_id", [500, 302])
def test_a_directory_that_gives_no_answer_is_neither_yes_nor_no(
    make_app: MakeApp, auth_server: str, user_id: int
) -> None:
    client = make_app(AUTH_SERVER_USER_URL=auth_server).test_client()

    response = client.get(f"/sessions/user/{user_id}", headers=ADMIN)

    assert (response.status_code, response.json["code"]) == (503, "auth_server_unavailable")
    assert response.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("user_id", "is_asked"), [("..", False), (".", False), ("../../x", True), ("a%2Fb", True), ("a b?c#d", True)]
)
def test_no_user_id_leads_to_another_place_on_the_auth_server(
    make_app: MakeApp, auth_server: str, user_id: str, is_asked: bool
) -> None:
    """However it is escaped, `..` is a parent to some servers, and the caller's token would go there."""
    app = make_app(AUTH_SERVER_USER_URL=auth_server, USER_ID_TYPE="string")
    principal = Principal(user_id="1", is_admin=True, bearer=ADMIN["Authorization"].removeprefix("Bearer "))

    with app.app_context(), pytest.raises(UserNotFound):
        components_of(app).sessions.get_user_sessions(user_id, by=principal, now=utcnow())

    assert ([user_id] if is_asked else []) == ASKED


def test_a_directory_that_is_away_is_503(make_app: MakeApp) -> None:
    client = make_app(AUTH_SERVER_USER_URL="http://127.0.0.1:9/user/{user_id}").test_client()

    assert client.get("/sessions/user/74", headers=ADMIN).json["code"] == "auth_server_unavailable"


def test_admins_see_who_ended_a_session(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)
    client.delete(f"/sessions/session/{device.id}", headers=ADMIN)

    (listed,) = body(client.get("/sessions/user/74?include_inactive=true", headers=ADMIN))
    shown = client.get(f"/sessions/session/{device.id}", headers=ADMIN).json

    assert (listed["end_reason"], listed["ended_by"]) == ("admin", "1")
    assert shown == listed
    assert "ended_by" not in device.session


def test_the_admins_own_id_is_no_exception(client: FlaskClient, sign_in: SignIn) -> None:
    phone, laptop = (sign_in(user_id=1, role="admin", user_agent=agent) for agent in (IPHONE, "Firefox"))

    listed = laptop.get("/sessions/user/1").json
    closed = laptop.delete("/sessions/user/1").json

    assert {one["id"]: one["is_current"] for one in listed} == {phone.id: False, laptop.id: True}
    assert closed["closed"] == 2
    ended = client.get("/sessions/user/1?include_inactive=true", headers=ADMIN).json
    assert {one["id"]: one["end_reason"] for one in ended} == {phone.id: "revoked", laptop.id: "logout"}


def test_an_admin_ends_all_sessions_of_a_user(client: FlaskClient, sign_in: SignIn) -> None:
    device, other = sign_in(user_id=74), sign_in(user_id=75)

    first = client.delete("/sessions/user/74", headers=ADMIN)
    second = client.delete("/sessions/user/74", headers=ADMIN)
    refused = device.get("/sessions/my-sessions")

    assert first.json == {"success": True, "message": "1 session closed successfully", "closed": 1}
    assert second.json == {"success": True, "message": "0 sessions closed successfully", "closed": 0}
    assert (refused.status_code, refused.json["end_reason"]) == (401, "admin")
    assert other.get("/sessions/my-sessions").status_code == 200


def test_an_admin_who_ends_somebody_elses_sessions_stays_signed_in(sign_in: SignIn) -> None:
    admin, device = sign_in(user_id=1, role="admin"), sign_in(user_id=74)

    closed = [body(admin.delete(f"/sessions/user/{user_id}"))["closed"] for user_id in (74, 999)]

    assert closed == [1, 0]
    assert device.get("/sessions/my-sessions").json["end_reason"] == "admin"
    assert [one["id"] for one in body(admin.get("/sessions/my-sessions"))] == [admin.id]


def test_a_user_who_is_no_admin_ends_nothing(client: FlaskClient, sign_in: SignIn) -> None:
    device = sign_in(user_id=74)

    response = client.delete("/sessions/user/74", headers=bearer(75))

    assert (response.status_code, response.json["code"]) == (403, "admin_required")
    assert response.json["detail"] == "Only admins can end other users' sessions"
    assert device.get("/sessions/my-sessions").status_code == 200


def test_an_admin_whose_own_session_has_ended_is_out(sign_in: SignIn) -> None:
    admin = sign_in(user_id=1, role="admin")
    admin.delete("/sessions/logout")

    assert admin.get("/sessions/user/74").json["code"] == "session_ended"


@pytest.mark.parametrize(
    ("values", "claims", "is_admin"),
    [
        ({}, {"role": "admin"}, True),
        ({}, {"role": ["user", "admin"]}, True),
        ({}, {"role": "administrator"}, False),
        ({}, {"role": "user"}, False),
        ({}, {"role": True}, False),
        ({}, {"role": {"admin": True}}, False),
        ({}, {"role": [["admin"]]}, False),
        ({}, {}, False),
        ({"ADMIN_ROLES": ("root", "ops")}, {"role": "ops"}, True),
        ({"ADMIN_ROLES": ("root", "ops")}, {"role": "admin"}, False),
        ({"JWT_ROLE_CLAIM": "realm.roles"}, {"realm": {"roles": ["admin"]}}, True),
        ({"JWT_ROLE_CLAIM": "realm.roles"}, {"realm": ["admin"]}, False),
        ({"JWT_ROLE_CLAIM": "https://example.com/roles"}, {"https://example.com/roles": ["admin"]}, True),
        ({"ADMIN_USER_IDS": ("5", "1")}, {}, True),
        ({"ADMIN_USER_IDS": ("11",)}, {}, False),
    ],
)
def test_who_is_an_admin(
    make_app: MakeApp, values: dict[str, object], claims: dict[str, object], is_admin: bool
) -> None:
    client = make_app(**values).test_client()

    response = client.get("/sessions/user/74", headers=bearer(1, **claims))

    assert response.status_code == (200 if is_admin else 403)


def test_services_read_and_end_by_their_credentials(make_app: MakeApp) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    sign_in_with(client)(user_id=74)

    for name, secret in CREDENTIALS.items():
        assert len(body(client.get("/sessions/user/74", headers=basic(name, secret)))) == 1
    closed = client.delete("/sessions/user/74", headers=basic("billing", CREDENTIALS["billing"]))
    (ended,) = body(client.get("/sessions/user/74?include_inactive=1", headers=ADMIN))

    assert closed.json["closed"] == 1
    assert (ended["end_reason"], ended["ended_by"], ended["because"]) == ("admin", "service:billing", None)


def test_a_service_says_why_and_the_person_and_admins_read_it(make_app: MakeApp) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    device = sign_in_with(client)(user_id=74)
    path, service = "/sessions/user/74?because=", basic("billing", CREDENTIALS["billing"])

    refused = client.delete(path + "bad_mood", headers=service)
    empty = client.delete(path, headers=service)
    closed = client.delete(path + "password_changed", headers=service)
    told = device.get("/sessions/my-sessions")
    (seen,) = body(client.get("/sessions/user/74?include_inactive=1", headers=ADMIN))
    own = sign_in_with(client)(user_id=74).get("/sessions/my-sessions?include_inactive=1").json

    assert (refused.status_code, refused.json["code"]) == (422, "validation_failed")
    assert (empty.status_code, empty.json["code"]) == (422, "validation_failed")
    assert (closed.status_code, closed.json["closed"]) == (200, 1)
    assert told.json["detail"].startswith(
        "This device (Chrome on Windows 10) was signed out because the password was changed. That was on "
    )
    assert (told.json["end_reason"], told.json["because"]) == ("admin", "password_changed")
    assert (seen["end_reason"], seen["because"]) == ("admin", "password_changed")
    assert [one.keys() & {"because", "ended_by"} for one in own] == [set(), set()]


@pytest.mark.parametrize(
    "headers",
    [
        basic("backend", "wrong-secret-of-the-backend"),
        basic("nobody", CREDENTIALS["backend"]),
        basic("nobody", ""),
        basic("", ""),
        {"Authorization": "Basic"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
    ],
)
def test_wrong_service_credentials_are_refused_in_their_own_scheme(make_app: MakeApp, headers: dict[str, str]) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()

    response = client.get("/sessions/user/74", headers=headers)

    assert (response.status_code, response.json["code"]) == (401, "service_required")
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_services_are_no_users(make_app: MakeApp) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()

    response = client.get("/sessions/my-sessions", headers=basic("backend", CREDENTIALS["backend"]))

    assert (response.status_code, response.json["code"]) == (401, "token_missing")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("user_id", ["0", "01", "-1", "1.0", "x", str(2**63), "٧٤", "1" * 300])
def test_ids_that_no_user_can_have_are_refused(client: FlaskClient, user_id: str) -> None:
    response = client.get(f"/sessions/user/{user_id}", headers=ADMIN)

    assert (response.status_code, response.json["code"], list(response.json["errors"])) == (
        422,
        "validation_failed",
        ["user_id"],
    )


def test_ids_may_be_texts(make_app: MakeApp) -> None:
    client = make_app(USER_ID_TYPE="string", ADMIN_USER_IDS=("auth0|root",)).test_client()
    device = sign_in_with(client)(user_id="auth0|7 é/4")

    (listed,) = body(client.get("/sessions/user/auth0%7C7%20%C3%A9%2F4", headers=bearer("auth0|root")))

    assert (listed["id"], listed["user_id"]) == (device.id, "auth0|7 é/4")
