"""An auth server that hangs or trickles: how long callers wait for it at most, on a machine with time left."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from flask.testing import FlaskClient

from session_service import limits
from session_service.auth_server import jwks
from tests.harness.admins import ADMIN, MEMBER, UNAVAILABLE, YES, ask_as
from tests.harness.auth_server import AuthServer, auth_server, hang, hang_up, trickle
from tests.harness.key_holders import NEW, NO_KEY, OK, OLD, REFUSED, ask, source_of
from tests.harness.processes import wait_until
from tests.harness.reports import note
from tests.harness.support import MakeApp, make_token

# Neither keys nor roles have anything to do with the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        running.keys, running.roles = [OLD], {ADMIN: "admin", MEMBER: "user"}
        yield running


# Keys


@pytest.fixture
def client(make_app: MakeApp, server: AuthServer) -> FlaskClient:
    """Return a client of an application that trusts the published keys."""
    return make_app(JWT_JWKS_URL=server.key_set_url).test_client()


@pytest.mark.parametrize("slow", ["hangs", "trickles its headers", "trickles its body"])
def test_nobody_with_a_known_key_waits_for_a_slow_auth_server(
    client: FlaskClient, server: AuthServer, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "COOL_DOWN_SECONDS", 0.2)
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.5)
    assert ask(client, OLD.sign()) == OK
    calls = server.asked["/keys"]
    server.answer_keys = hang(server) if slow == "hangs" else trickle(server, in_headers="headers" in slow)
    wait_until(lambda: server.asked["/keys"] > calls, "a call hangs")

    worst = 0.0
    for number in range(50):
        began = monotonic()
        assert ask(client, OLD.sign(n=number)) == OK
        worst = max(worst, monotonic() - began)
    began = monotonic()
    assert ask(client, NEW.sign()) == REFUSED
    unknown = monotonic() - began

    note(f"an auth server that {slow}: known keys {worst * 1000:.0f} ms at worst, an unknown {unknown:.1f} s")
    assert worst < 1.0
    assert unknown < 4.0
    # The call that hangs is given up, and another one made.
    wait_until(lambda: server.asked["/keys"] > calls + 1, "another call is made")
    server.answer_keys, server.keys = None, [OLD, NEW]
    wait_until(lambda: ask(client, NEW.sign(n=1)) == OK, "the new key is trusted")


def test_an_auth_server_that_hangs_from_the_start_costs_a_bounded_wait_and_then_none(
    client: FlaskClient, server: AuthServer
) -> None:
    server.answer_keys = hang(server)
    began = monotonic()
    assert ask(client, OLD.sign()) == NO_KEY
    first = monotonic() - began
    began = monotonic()
    assert [ask(client, OLD.sign(n=n)) for n in range(20)] == [NO_KEY] * 20

    assert first < 3.0
    assert monotonic() - began < 1.0


def test_many_unknown_names_leave_threads_to_holders_of_known_keys(client: FlaskClient, server: AuthServer) -> None:
    assert ask(client, OLD.sign()) == OK
    source_of(client)._last_call -= jwks.COOL_DOWN_SECONDS
    server.answer_keys = hang(server)
    app, threads = client.application, limits.KEY_WAITERS * 2

    with ThreadPoolExecutor(threads) as pool:
        for n in range(threads):
            pool.submit(ask, app.test_client(), NEW.sign(headers={"kid": f"unknown-{n}"}))
        began = monotonic()
        assert pool.submit(ask, app.test_client(), OLD.sign(n=1)).result() == OK
        waited = monotonic() - began
        server.released.set()

    assert waited < 1.8


# Roles


@pytest.fixture
def directory(make_app: MakeApp, server: AuthServer) -> FlaskClient:
    """Return a client of an application that asks who is an admin."""
    return make_app(AUTH_SERVER_USERINFO_URL=server.me_url).test_client()


@pytest.mark.parametrize("slow", ["hangs", "trickles its headers", "trickles its body", "hangs up"])
def test_an_auth_server_that_does_not_answer_is_503_in_time(
    directory: FlaskClient, server: AuthServer, slow: str
) -> None:
    endless = trickle(server, in_headers="headers" in slow)
    server.answer_me = {"hangs": hang(server), "hangs up": hang_up}.get(slow, endless)

    began = monotonic()
    assert ask_as(directory, ADMIN) == UNAVAILABLE
    seconds = monotonic() - began

    note(f"a role asked of an auth server that {slow}: 503 after {seconds:.1f} s")
    assert seconds < 3.0


@pytest.mark.parametrize("tokens", [[ADMIN] * 16, [make_token(n) for n in range(1, 17)]], ids=["one", "each its own"])
def test_an_auth_server_that_hangs_leaves_threads_to_others(
    directory: FlaskClient, server: AuthServer, tokens: list[str]
) -> None:
    server.answer_me = hang(server)
    app = directory.application
    began = monotonic()
    with ThreadPoolExecutor(limits.AUTH_SERVER_CALLS * 2) as pool:
        waiting = [pool.submit(ask_as, app.test_client(), token) for token in tokens]
        other = pool.submit(ask_as, app.test_client(), MEMBER, "/sessions/my-sessions")
        assert other.result() == YES
        waited = monotonic() - began
        said = {answer.result() for answer in waiting}

    assert said == {UNAVAILABLE}
    assert server.asked["/me"] <= len(set(tokens))
    assert waited < limits.AUTH_SERVER_SECONDS - 0.1
