"""Keys that the auth server publishes: a real server rotates, fails and hangs, and holders of tokens hardly notice."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler
from time import monotonic

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from session_service import limits
from session_service.auth_server import http_client, jwks
from session_service.auth_server.keys import MAX_KEYS
from tests.harness.auth_server import KINDS, AuthServer, SigningKey, auth_server, hang, hang_up, send, trickle
from tests.harness.key_holders import NEW, NO_KEY, OK, OLD, REFUSED, ask, source_of
from tests.harness.processes import wait_until
from tests.harness.reports import note
from tests.harness.support import FAR_AWAY, MakeApp, hs256, make_token, raw_token

# What is verified with which key has nothing to do with the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        running.keys = [OLD]
        yield running


@pytest.fixture
def client(make_app: MakeApp, server: AuthServer) -> FlaskClient:
    """Return a client of an application that trusts the published keys."""
    return make_app(JWT_JWKS_URL=server.key_set_url).test_client()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses short: they are figures, and their effect is what is tested."""
    monkeypatch.setattr(jwks, "COOL_DOWN_SECONDS", 0.05)
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.1)


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_published_key_is_trusted(client: FlaskClient, server: AuthServer, algorithm: str) -> None:
    key = SigningKey.make("one", algorithm)
    server.keys = [OLD, key]

    assert ask(client, key.sign()) == OK
    assert ask(client, OLD.sign()) == OK
    assert server.asked["/keys"] == 1


def test_a_token_that_names_no_key_may_be_of_any(client: FlaskClient, server: AuthServer) -> None:
    nameless = SigningKey.make(None, "EdDSA")
    server.keys = [OLD, nameless]

    assert ask(client, nameless.sign()) == OK
    assert ask(client, OLD.sign(headers={"kid": "another"})) == REFUSED


def test_one_name_may_stand_for_two_keys(client: FlaskClient, server: AuthServer) -> None:
    twin = SigningKey.make("old", "RS256")
    server.keys = [OLD, twin]

    assert ask(client, twin.sign()) == ask(client, OLD.sign()) == OK


def test_an_unknown_name_has_the_keys_fetched_and_a_new_key_is_trusted_at_once(
    client: FlaskClient, server: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "COOL_DOWN_SECONDS", 0.0)
    assert ask(client, OLD.sign()) == OK

    server.keys = [OLD, NEW]

    assert ask(client, NEW.sign()) == OK
    assert server.asked["/keys"] == 2


def test_10000_unknown_names_have_the_keys_fetched_once_in_a_cool_down(client: FlaskClient, server: AuthServer) -> None:
    assert ask(client, OLD.sign()) == OK
    began = monotonic()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: source_of(client).find(f"unknown-{n}"), range(10_000)))
    refused = [ask(client, OLD.sign(headers={"kid": f"unknown-{n}"})) for n in range(100)]

    seconds = monotonic() - began
    note(f"10,100 unknown key names in {seconds:.1f} s: {server.asked['/keys']} calls")
    assert set(answers) == {()}
    assert set(refused) == {REFUSED}
    assert server.asked["/keys"] <= 2 + seconds / jwks.COOL_DOWN_SECONDS


def has_grown(answers: "Counter[tuple[int, str | None]]", enough: int) -> bool:
    return answers.total() >= enough


@pytest.mark.usefixtures("quick")
def test_keys_rotate_under_load_without_a_refusal(client: FlaskClient, server: AuthServer) -> None:
    """Published first, used then, as `docs/settings.md` has it; the old one goes when its tokens have expired."""
    signing, done, answers = [OLD], threading.Event(), Counter[tuple[int, str | None]]()

    def work(number: int) -> None:
        mine = client.application.test_client()
        count = 0
        while not done.is_set():
            count += 1
            answers[ask(mine, signing[0].sign(user_id=number + 1, n=count))] += 1

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        try:
            for turn in range(5):
                key = SigningKey.make(f"key-{turn}", ("ES256", "RS256", "EdDSA")[turn % 3])
                server.keys = [key, signing[0]]
                wait_until(partial(source_of(client).find, key.kid), "the new key is known")
                signing[0], before = key, answers.total()
                wait_until(partial(has_grown, answers, before + 20), "it is used")
        finally:
            done.set()
        for worker in workers:
            worker.result()

    note(f"5 rotations under load: {dict(answers)}, {server.asked['/keys']} calls of the key set")
    assert set(answers) == {OK}
    assert answers[OK] >= 100


@pytest.mark.usefixtures("quick")
def test_a_removed_key_is_trusted_no_longer_nor_what_was_verified_with_it(
    client: FlaskClient, server: AuthServer
) -> None:
    token = OLD.sign()
    assert ask(client, token) == ask(client, token) == OK

    server.keys = [NEW]
    wait_until(lambda: ask(client, NEW.sign()) == OK, "the new key is trusted")

    assert ask(client, token) == REFUSED


FAILURES: dict[str, Callable[[BaseHTTPRequestHandler], bool]] = {
    "500": lambda handler: send(handler, "broken", 500),
    "404": lambda handler: send(handler, "gone", 404),
    "a redirect to good keys": lambda handler: send(handler, "", 302, Location="/other"),
    "204": lambda handler: send(handler, b"", 204),
    "HTML": lambda handler: send(handler, "<!doctype html><p>Sign in", 200, Content_Type="text/html"),
    "nothing": lambda handler: send(handler, b""),
    "rubbish": lambda handler: send(handler, b"\xff\xfe\x00"),
    "an empty set": lambda handler: send(handler, {"keys": []}),
    "no set": lambda handler: send(handler, [1, 2]),
    "null": lambda handler: send(handler, None),
    "keys of a wrong type": lambda handler: send(handler, {"keys": {"kid": "old"}}),
    "keys that are none": lambda handler: send(handler, {"keys": [1, None, "x", {}, {"kty": []}, {"kty": "RSA"}]}),
    "a secret": lambda handler: send(handler, {"keys": [{"kty": "oct", "kid": "old", "k": "c2VjcmV0" * 8}]}),
    "nested": lambda handler: send(handler, "[" * 100_000 + "]" * 100_000),
    "too large": lambda handler: send(handler, b" " * 300_000),
    "too many": lambda handler: send(handler, {"keys": [NEW.jwk] * (MAX_KEYS + 1)}),
    "no HTTP": lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n") > 0 and hang_up(handler),
    "hung up": hang_up,
    "compressed": lambda handler: send(handler, b"\x1f\x8b\x08\x00" + b"\0" * 50, 200, Content_Encoding="gzip"),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("failure", FAILURES)
def test_the_last_good_keys_stay_whatever_is_answered_later(
    client: FlaskClient, server: AuthServer, failure: str
) -> None:
    assert ask(client, OLD.sign()) == OK
    server.answer_keys, calls = FAILURES[failure], server.asked["/keys"]

    wait_until(lambda: server.asked["/keys"] > calls + 1, "the keys are fetched twice")

    assert ask(client, OLD.sign(n=1)) == OK
    assert ask(client, NEW.sign()) == REFUSED
    server.answer_keys, server.keys = None, [OLD, NEW]
    wait_until(lambda: ask(client, NEW.sign(n=2)) == OK, "the new key is trusted")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("failure", FAILURES)
def test_without_any_key_the_answer_is_neither_yes_nor_no(
    client: FlaskClient, server: AuthServer, failure: str
) -> None:
    server.answer_keys = FAILURES[failure]

    assert ask(client, OLD.sign()) == NO_KEY
    assert ask(client, make_token()) == NO_KEY
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["missing"]) == (503, ["no key of the auth server is loaded"])

    server.answer_keys = None
    wait_until(lambda: ask(client, OLD.sign()) == OK, "the key is trusted")
    assert client.get("/readyz").status_code == 200


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call to the auth server last until the test ends it, however busy the machine is."""
    monkeypatch.setattr(http_client, "AUTH_SERVER_SECONDS", 600.0)
    monkeypatch.setattr(jwks, "FIRST_KEY_SECONDS", 600.0)


@pytest.mark.parametrize("slow", ["hangs", "trickles its headers", "trickles its body"])
@pytest.mark.usefixtures("endless", "quick")
def test_nobody_with_a_known_key_waits_for_a_call_that_hangs(
    client: FlaskClient, server: AuthServer, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(client, OLD.sign()) == OK
    calls = server.asked["/keys"]
    server.answer_keys = hang(server) if slow == "hangs" else trickle(server, in_headers="headers" in slow)
    wait_until(lambda: server.asked["/keys"] > calls, "a call hangs")
    calls = server.asked["/keys"]

    assert [ask(client, OLD.sign(n=number)) for number in range(50)] == [OK] * 50
    monkeypatch.setattr(jwks, "FIRST_KEY_SECONDS", 0.1)
    assert ask(client, NEW.sign()) == REFUSED

    # Whoever had waited for the end of the call would be waiting still.
    assert server.asked["/keys"] == calls
    server.answer_keys, server.keys = None, [OLD, NEW]
    server.released.set()
    wait_until(lambda: ask(client, NEW.sign(n=1)) == OK, "the new key is trusted")


@pytest.mark.usefixtures("endless")
def test_unknown_names_take_no_more_threads_than_may_wait(client: FlaskClient, server: AuthServer) -> None:
    assert ask(client, OLD.sign()) == OK
    source_of(client)._last_call -= jwks.COOL_DOWN_SECONDS
    server.answer_keys = hang(server)
    app, threads = client.application, limits.KEY_WAITERS * 2

    with ThreadPoolExecutor(threads) as pool:
        unknown = [
            pool.submit(ask, app.test_client(), NEW.sign(headers={"kid": f"unknown-{n}"})) for n in range(threads)
        ]
        try:
            assert pool.submit(ask, app.test_client(), OLD.sign(n=1)).result(60) == OK
            wait_until(lambda: sum(one.done() for one in unknown) == threads - limits.KEY_WAITERS, "the others wait")
        finally:
            server.released.set()

    assert {one.result() for one in unknown} == {REFUSED}


def test_no_redirect_is_followed(client: FlaskClient, server: AuthServer) -> None:
    server.answer_keys = FAILURES["a redirect to good keys"]

    assert ask(client, OLD.sign()) == NO_KEY
    assert server.asked["/other"] == 0


def test_holders_of_keys_are_not_told_apart_by_what_they_say_of_their_key(
    client: FlaskClient, server: AuthServer
) -> None:
    """`jku`, `x5u`, `jwk` (RFC 7515 section 4.1) would let a token bring its own key; they are not read."""
    assert ask(client, OLD.sign()) == OK
    calls = dict(server.asked)
    evil = SigningKey.make("evil")

    for headers in (
        {"jku": f"{server.url}/evil"},
        {"x5u": f"{server.url}/evil"},
        {"jwk": evil.jwk},
        {"x5c": ["MIIB"]},
    ):
        assert ask(client, evil.sign(headers={**headers, "kid": "old"})) == REFUSED
        assert ask(client, evil.sign(headers=headers)) == REFUSED
        assert ask(client, OLD.sign(headers=headers)) == OK
    assert ask(client, OLD.sign(headers={"crit": ["x"], "x": 1})) == REFUSED

    assert server.asked["/evil"] == 0
    assert server.asked["/keys"] <= calls["/keys"] + 1


def test_no_shared_secret_is_believed_beside_published_keys(client: FlaskClient, server: AuthServer) -> None:
    """Algorithm confusion (RFC 8725 section 2.1): the public key, published for all, used as a secret."""
    assert ask(client, OLD.sign()) == OK
    pem = OLD.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (json.dumps(OLD.jwk).encode(), OLD.jwk["x"].encode(), pem, b""):
        for named in ({"kid": "old"}, {}):
            header = {"alg": "HS256", "typ": "JWT", **named}
            assert ask(client, raw_token(header, {"sub": "74", "exp": FAR_AWAY}, hs256(secret))) == REFUSED
