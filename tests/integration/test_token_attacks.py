"""Attacks on tokens, one a row, each with where it is known from; none gets more than 401 or what it is entitled to.

Two victims are attacked: a service that trusts a shared secret, and one that trusts published keys.
"""

import base64
import json
from collections.abc import Iterator

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from flask.testing import FlaskClient

from tests.harness.auth_server import auth_server
from tests.harness.support import FAR_AWAY, MakeApp
from tests.harness.token_attacks import (
    AUDIENCE,
    CLAIMS,
    GOOD,
    HEADER,
    HIGH,
    ISSUER,
    KEY,
    NOW,
    ORDER,
    PUBLISHED_KEYS,
    RSA_KEY,
    SHARED_SECRET,
    es256,
    halves,
    text,
    token,
    with_claims,
)


@pytest.fixture
def secret_client(make_app: MakeApp) -> FlaskClient:
    return make_app(JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE, UNKNOWN_SESSION_POLICY="allow").test_client()


@pytest.fixture
def published_client(make_app: MakeApp) -> Iterator[FlaskClient]:
    with auth_server() as server:
        server.keys = [KEY, RSA_KEY]
        yield make_app(JWT_JWKS_URL=server.key_set_url, UNKNOWN_SESSION_POLICY="allow").test_client()


def check(client: FlaskClient, encoded: str, path: str = "/sessions/validate") -> tuple[int, str | None]:
    with time_machine.travel(NOW, tick=False):
        response = client.get(path, headers={"Authorization": f"Bearer {encoded}"})
    return response.status_code, response.json.get("code")


def test_the_table_is_as_long_as_it_should_be_and_names_its_sources() -> None:
    assert len(SHARED_SECRET) + len(PUBLISHED_KEYS) >= 60
    assert all(source for source, _ in [*SHARED_SECRET.values(), *PUBLISHED_KEYS.values()])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", SHARED_SECRET)
def test_a_service_that_trusts_a_secret_refuses(secret_client: FlaskClient, name: str) -> None:
    _, encoded = SHARED_SECRET[name]

    assert check(secret_client, GOOD) == (200, None)
    status, code = check(secret_client, encoded)

    assert (status, code) in {(401, "token_invalid"), (401, "token_expired")}
    assert (code == "token_expired") == (name in {"exp negative", "exp now", "two exps, the last one past"})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", PUBLISHED_KEYS)
def test_a_service_that_trusts_published_keys_refuses(published_client: FlaskClient, name: str) -> None:
    _, encoded = PUBLISHED_KEYS[name]

    assert check(published_client, es256({})) == (200, None)
    assert check(published_client, encoded) == (401, "token_invalid")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("source", "encoded"),
    [
        ("RFC 7519 4: of two claims the last counts", text('{"sub":"x",' + json.dumps(CLAIMS)[1:])),
        ("a test token in circulation expires in the year 6132", with_claims(exp=131_360_000_000)),
        ("RFC 7519 2: exp has no upper bound", text(json.dumps(CLAIMS).replace(str(FAR_AWAY), "9" * 1_000))),
        ("RFC 7519 4.1.3: aud may be a list", with_claims(aud=["web", AUDIENCE])),
        ("RFC 7515 4.1: unknown header members are ignored", token({**HEADER, "x": 1, "kid": "any"})),
    ],
)
def test_what_looks_odd_and_is_right_is_let_in(secret_client: FlaskClient, source: str, encoded: str) -> None:
    assert check(secret_client, encoded) == (200, None), source


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_ecdsa_signature_turned_around_is_the_same_token(published_client: FlaskClient) -> None:
    """Anybody can turn (r, s) into (r, n - s), which verifies too: it must not be a token of its own."""
    with time_machine.travel(NOW, tick=False):
        original = es256({})
        r, s = halves(base64.urlsafe_b64decode(original.rpartition(".")[2] + "=="))
        turned = r.to_bytes(HIGH) + (ORDER - s).to_bytes(HIGH)
        twin = original.rpartition(".")[0] + "." + base64.urlsafe_b64encode(turned).rstrip(b"=").decode()
        headers = [{"Authorization": f"Bearer {one}", "User-Agent": "Firefox"} for one in (original, twin)]
        created = published_client.post("/sessions/create", headers=headers[0])
        seen = published_client.get("/sessions/validate", headers={**headers[1], "User-Agent": "curl/8"})
        published_client.delete("/sessions/logout", headers=headers[1])
        ended = published_client.get("/sessions/validate", headers=headers[0])

    assert decode_dss_signature(encode_dss_signature(r, ORDER - s)) == (r, ORDER - s)
    assert seen.json["session_id"] == created.json["id"]
    assert ended.json["code"] == "session_ended"
