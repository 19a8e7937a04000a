"""Admins that only the auth server knows: asked with the caller's token, remembered for a minute, and never guessed."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from threading import Event
from time import sleep

import pytest
from flask.testing import FlaskClient

from session_service import limits
from session_service.auth_server import http_client, user_directory
from tests.harness.admins import ADMIN, MEMBER, NO, UNAVAILABLE, YES, ask_as
from tests.harness.auth_server import AuthServer, auth_server, hang, hang_up, send
from tests.harness.processes import wait_until
from tests.harness.support import MakeApp, components_of, make_token, sign_in_with

# Who is an admin has nothing to do with the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HASH = "$2b$12$an-example-of-a-hash"


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        running.roles = {ADMIN: "admin", MEMBER: "user"}
        yield running


@pytest.fixture
def client(make_app: MakeApp, server: AuthServer) -> FlaskClient:
    return make_app(AUTH_SERVER_USERINFO_URL=server.me_url).test_client()


def test_the_auth_server_says_who_is_an_admin(client: FlaskClient, server: AuthServer) -> None:
    assert ask_as(client, ADMIN) == YES
    assert ask_as(client, MEMBER) == NO
    assert ask_as(client, make_token(75)) == NO
    assert server.asked["/me"] == 3


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("admin", YES),
        (["user", "admin"], YES),
        ("Admin", NO),
        ("administrator", NO),
        ("admin,user", NO),
        (["user"], NO),
        ([], NO),
        ([["admin"]], NO),
        ({"admin": True}, NO),
        (True, NO),
        (1, NO),
        (None, NO),
    ],
)
def test_a_role_is_a_text_or_a_list(client: FlaskClient, server: AuthServer, role: object, said: object) -> None:
    server.roles[MEMBER] = role

    assert ask_as(client, MEMBER) == said


UNUSABLE: dict[str, Callable[[BaseHTTPRequestHandler], bool]] = {
    "500": lambda handler: send(handler, {"role": "admin"}, 500),
    "404": lambda handler: send(handler, {"role": "admin"}, 404),
    "429": lambda handler: send(handler, {"role": "admin"}, 429),
    "201": lambda handler: send(handler, {"role": "admin"}, 201),
    "a redirect": lambda handler: send(handler, {"role": "admin"}, 302, Location="/elsewhere"),
    "HTML": lambda handler: send(handler, "<p>admin"),
    "nothing": lambda handler: send(handler, b""),
    "a text": lambda handler: send(handler, '"admin"'),
    "a list": lambda handler: send(handler, ["admin"]),
    "nested": lambda handler: send(handler, '{"role":' + "[" * 30_000 + "]" * 30_000 + "}"),
    "too large": lambda handler: send(handler, {"role": "admin", "x": "x" * 70_000}),
    "no UTF-8": lambda handler: send(handler, b'{"role": "admin\xff"}'),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_answer_that_cannot_be_used_is_neither_yes_nor_no_and_not_remembered(
    client: FlaskClient, server: AuthServer, name: str
) -> None:
    server.answer_me = UNUSABLE[name]
    assert ask_as(client, ADMIN) == UNAVAILABLE
    server.answer_me = None

    assert ask_as(client, ADMIN) == YES
    assert server.asked["/elsewhere"] == 0


@pytest.mark.parametrize("status", [401, 403])
def test_whom_the_auth_server_does_not_let_in_is_no_admin(client: FlaskClient, server: AuthServer, status: int) -> None:
    server.answer_me = lambda handler: send(handler, {"role": "admin"}, status)

    assert ask_as(client, ADMIN) == NO


def test_nobody_listens_there(make_app: MakeApp) -> None:
    client = make_app(AUTH_SERVER_USERINFO_URL="http://127.0.0.1:1/me").test_client()

    assert ask_as(client, ADMIN) == UNAVAILABLE


def test_a_demoted_admin_is_out_within_a_minute_and_a_promoted_one_in(
    client: FlaskClient, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(user_directory, "monotonic", lambda: now[0])
    assert (ask_as(client, ADMIN), ask_as(client, MEMBER)) == (YES, NO)
    server.roles = {ADMIN: "user", MEMBER: "admin"}

    now[0] += 59.9
    assert (ask_as(client, ADMIN), ask_as(client, MEMBER)) == (YES, NO)
    assert server.asked["/me"] == 2
    now[0] += 0.1
    assert (ask_as(client, ADMIN), ask_as(client, MEMBER)) == (NO, YES)


def test_however_many_ask_at_once_the_auth_server_is_asked_once(client: FlaskClient, server: AuthServer) -> None:
    arrived = Event()

    def slowly(_handler: BaseHTTPRequestHandler) -> bool:
        arrived.wait(1)
        return False

    server.answer_me = slowly
    app = client.application
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask_as, app.test_client(), ADMIN) for _ in range(4)]
        arrived.set()
        said = {answer.result() for answer in answers}

    assert said == {YES}
    assert server.asked["/me"] == 1


@pytest.mark.parametrize("tokens", [[ADMIN] * 16, [make_token(n) for n in range(1, 17)]], ids=["one", "each its own"])
def test_an_auth_server_that_hangs_takes_no_more_threads_than_may_call_it(
    make_app: MakeApp, server: AuthServer, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A call lasts until the test ends it, however busy the machine is.
    monkeypatch.setattr(http_client, "AUTH_SERVER_SECONDS", 600.0)
    app = make_app(AUTH_SERVER_USERINFO_URL=server.me_url)
    server.answer_me = hang(server)

    with ThreadPoolExecutor(limits.AUTH_SERVER_CALLS * 2) as pool:
        waiting = [pool.submit(ask_as, app.test_client(), token) for token in tokens]
        try:
            assert pool.submit(ask_as, app.test_client(), MEMBER, "/sessions/my-sessions").result(60) == YES
            refused = len(tokens) - limits.AUTH_SERVER_CALLS
            wait_until(lambda: sum(one.done() for one in waiting) == refused, "the others are refused")
            calls = server.asked["/me"]
        finally:
            server.released.set()

    assert {one.result() for one in waiting} == {UNAVAILABLE}
    assert calls <= len(set(tokens))


def test_more_admins_at_once_than_places_are_served_in_turn(
    client: FlaskClient, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "AUTH_SERVER_STALL_SECONDS", 10.0)  # as long as a slow machine may take

    def slowly(_handler: BaseHTTPRequestHandler) -> bool:
        sleep(0.05)
        return False

    tokens = [make_token(n) for n in range(1, 9)]
    server.roles, server.answer_me = dict.fromkeys(tokens, "admin"), slowly
    app = client.application
    with ThreadPoolExecutor(8) as pool:
        said = [answer.result() for answer in [pool.submit(ask_as, app.test_client(), token) for token in tokens]]

    assert said == [YES] * 8


def test_a_connection_that_was_closed_meanwhile_is_no_failure(client: FlaskClient, server: AuthServer) -> None:
    hung_up = Event()

    def once(handler: BaseHTTPRequestHandler) -> bool:
        if hung_up.is_set():
            return False
        hung_up.set()
        return hang_up(handler)

    assert ask_as(client, ADMIN) == YES
    server.answer_me = once

    assert ask_as(client, MEMBER) == NO
    assert server.asked["/me"] == 3


def test_whoever_is_an_admin_by_the_token_is_not_asked_for(client: FlaskClient, server: AuthServer) -> None:
    assert ask_as(client, make_token(2, role="admin")) == YES
    assert server.asked["/me"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sessions/create"),
        ("GET", "/sessions/my-sessions"),
        ("GET", "/sessions/validate"),
        ("GET", "/sessions/session/{id}"),
        ("GET", "/sessions/active-devices-count"),
        ("POST", "/sessions/update-activity"),
        ("DELETE", "/sessions/session/{id}"),
    ],
)
def test_only_what_needs_an_admin_asks(client: FlaskClient, server: AuthServer, method: str, path: str) -> None:
    own = sign_in_with(client)(1, token=ADMIN)

    assert ask_as(client, ADMIN, path.format(id=own.id), method) == YES
    assert server.asked["/me"] == 0


def test_a_session_that_is_not_the_callers_own_is_for_admins(client: FlaskClient, server: AuthServer) -> None:
    victim = sign_in_with(client)(75)
    path, unknown = f"/sessions/session/{victim.id}", "/sessions/session/999999"

    assert ask_as(client, MEMBER, path) == ask_as(client, MEMBER, unknown) == (404, "session_not_found")
    assert ask_as(client, MEMBER, path, "DELETE") == (404, "session_not_found")
    assert victim.get("/sessions/validate").status_code == 200
    assert ask_as(client, ADMIN, path) == YES
    assert ask_as(client, ADMIN, unknown) == (404, "session_not_found")
    assert ask_as(client, ADMIN, path, "DELETE") == YES
    assert victim.get("/sessions/validate").json["end_reason"] == "admin"


def test_and_neither_is_told_from_the_other_while_the_auth_server_is_away(
    client: FlaskClient, server: AuthServer
) -> None:
    victim = sign_in_with(client)(75)
    server.answer_me = UNUSABLE["500"]

    assert (
        ask_as(client, MEMBER, f"/sessions/session/{victim.id}")
        == ask_as(client, MEMBER, "/sessions/session/9")
        == UNAVAILABLE
    )


def test_nothing_of_the_answer_but_the_role_is_kept_or_logged(
    client: FlaskClient, server: AuthServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens, texts = (ADMIN, MEMBER, make_token(2)), []
    for token in tokens:
        if token == tokens[2]:
            server.answer_me = lambda handler: send(handler, f'{{"password": "{HASH}", "role": ')
        texts.append(client.get("/sessions/user/74", headers={"Authorization": f"Bearer {token}"}).text)

    kept = repr(vars(components_of(client.application).user_directory))
    assert HASH not in "".join([*texts, caplog.text, kept])
    assert not any(token in caplog.text + kept for token in tokens)
