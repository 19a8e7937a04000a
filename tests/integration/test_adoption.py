"""Sessions of tokens that are first seen without one, and tokens that were asked about before they signed in."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.devices import HOME, OFFICE, count, device, rows
from tests.harness.support import CHROME, FIREFOX, IPHONE, MakeApp, body, make_token, sign_in_with


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
