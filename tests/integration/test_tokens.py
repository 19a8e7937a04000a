"""Whose tokens are believed: the shapes of today's auth server and the usual ones, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.support import FAR_AWAY, SECRET, MakeApp, hs256, make_token, raw_token

OTHER_SECRET = "another-secret-with-quite-enough-bytes"
NOW = datetime(2026, 2, 8, tzinfo=UTC)


def answer(client: FlaskClient, authorization: str | None, path: str = "/sessions/my-sessions") -> tuple[int, str]:
    """Return status and code of a call with this header."""
    response = client.get(path, headers={"Authorization": authorization} if authorization is not None else {})
    body = response.json
    return response.status_code, body["code"] if isinstance(body, dict) else ""


ACCEPTED: dict[str, dict[str, Any]] = {
    "today's": {},
    "sub as text": {"id": None, "sub": "74"},
    "sub as number": {"id": None, "sub": 74},
    "user_id": {"id": None, "user_id": 74},
    "the first present claim counts": {"sub": "74", "id": 75},
    "id as text": {"id": "74"},
    "the largest id": {"id": 2**63 - 1},
    "exp in the year 6132": {"exp": 131_360_000_000},
    "exp beyond all time": {"exp": 10**30},
    "iat in the future": {"iat": FAR_AWAY},
    "iat as text": {"iat": "now"},
    "type access": {"type": "access"},
    "jti and sid": {"jti": "j", "sid": "s"},
    "nbf within the leeway": {"nbf": 1_770_000_029},
    "nbf with a fraction": {"nbf": 1_770_000_000.5},
    "an audience that nobody asked for": {"aud": "web"},
}

REFUSED: dict[str, dict[str, Any]] = {
    "no user id": {"id": None},
    "id true": {"id": True},
    "id false": {"id": False},
    "id zero": {"id": 0},
    "id negative": {"id": -1},
    "id float": {"id": 74.0},
    "id too large": {"id": 2**63},
    "id an object": {"id": {}},
    "id a list": {"id": [74]},
    "id empty": {"id": ""},
    "id with blanks": {"id": " 74"},
    "id with a plus": {"id": "+74"},
    "id with leading zeros": {"id": "074"},
    "id in other digits": {"id": "٧٤"},
    "no exp": {"exp": None},
    "exp as text": {"exp": str(FAR_AWAY)},
    "exp true": {"exp": True},
    "exp float": {"exp": float(FAR_AWAY)},
    "exp an object": {"exp": {}},
    "nbf beyond the leeway": {"nbf": 1_770_000_031},
    "nbf as text": {"nbf": "0"},
    "nbf true": {"nbf": True},
    "refresh by type": {"type": "refresh"},
    "refresh by token_type": {"token_type": "Refresh"},
    "refresh by token_use": {"token_use": "REFRESH"},
    "sid a number": {"sid": 7},
    "sid too long": {"sid": "x" * 256},
    "sid with a NUL": {"sid": "a\0b"},
    "sid a lone surrogate": {"sid": "\ud800"},
    "jti a number": {"jti": 7},
    "larger than 4 kB": {"padding": "x" * 4096},
}


@pytest.mark.parametrize("claims", ACCEPTED.values(), ids=ACCEPTED)
def test_tokens_that_are_believed(app: Flask, claims: dict[str, Any]) -> None:
    with time_machine.travel(1_770_000_000, tick=False):
        assert answer(app.test_client(), f"Bearer {make_token(**claims)}") == (200, "")


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED)
def test_tokens_that_are_not_believed(client: FlaskClient, claims: dict[str, Any]) -> None:
    with time_machine.travel(1_770_000_000, tick=False):
        assert answer(client, f"Bearer {make_token(**claims)}") == (401, "token_invalid")


def test_a_null_claim_is_present_and_no_user(client: FlaskClient) -> None:
    token = jwt.encode({"sub": None, "id": 74, "exp": FAR_AWAY}, SECRET)

    assert answer(client, f"Bearer {token}") == (401, "token_invalid")


def test_a_short_secret_works_where_it_was_asked_for(make_app: MakeApp) -> None:
    client = make_app(JWT_SECRET_KEY="short", JWT_ALLOW_SHORT_SECRET=True).test_client()

    assert answer(client, f"Bearer {make_token(key='short')}") == (200, "")


@pytest.mark.parametrize(("now", "expected"), [(1_769_999_999, (200, "")), (1_770_000_000, (401, "token_expired"))])
def test_a_token_expires_at_its_exp_without_leeway(client: FlaskClient, now: int, expected: tuple[int, str]) -> None:
    with time_machine.travel(now, tick=False):
        assert answer(client, f"Bearer {make_token(exp=1_770_000_000)}") == expected


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token_missing"),
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Bearer ", "token_missing"),
        ("Token x", "token_missing"),
        (make_token(), "token_missing"),
        ("Bearer x", "token_invalid"),
        ("Bearer x.y.z", "token_invalid"),
        ("Bearer ..", "token_invalid"),
        (f"Bearer {make_token()} {make_token()}", "token_invalid"),
        (f"Bearer {make_token()},{make_token()}", "token_invalid"),
        (f"Bearer {make_token()}=", "token_invalid"),
        (f"Bearer {make_token()}.x", "token_invalid"),
        (f"Bearer {make_token()[:-4]}", "token_invalid"),
        (f"Bearer {make_token(key=OTHER_SECRET)}", "token_invalid"),
        ("Bearer \xe9.\xe9.\xe9", "token_invalid"),
    ],
)
def test_headers_without_a_usable_token(client: FlaskClient, authorization: str | None, code: str) -> None:
    assert answer(client, authorization) == (401, code)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_read_in_any_case(client: FlaskClient, scheme: str) -> None:
    assert answer(client, f"{scheme} {make_token()}") == (200, "")


def test_a_token_in_the_query_or_in_a_cookie_is_none(client: FlaskClient) -> None:
    client.set_cookie("access_token_cookie", make_token())

    assert answer(client, None, f"/sessions/my-sessions?token={make_token()}&jwt={make_token()}") == (
        401,
        "token_missing",
    )


def test_the_challenge_names_the_scheme_and_an_error_only_where_a_token_came(client: FlaskClient) -> None:
    missing = client.get("/sessions/my-sessions")
    invalid = client.get("/sessions/my-sessions", headers={"Authorization": "Bearer x"})

    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="sessions"'
    assert invalid.headers["WWW-Authenticate"] == 'Bearer realm="sessions", error="invalid_token"'


def with_header(header: dict[str, Any], claims: dict[str, Any] | None = None, secret: bytes = SECRET.encode()) -> str:
    """Return a token with any header, signed by HS256 whatever the header says."""
    return raw_token(header, claims or {"id": 74, "exp": FAR_AWAY}, hs256(secret))


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ({"alg": "HS256", "typ": "JWT"}, True),
        ({"alg": "HS256"}, True),
        ({"alg": "none"}, False),
        ({"alg": "None"}, False),
        ({"alg": "hs256"}, False),
        ({"alg": "RS256"}, False),
        ({"alg": 256}, False),
        ({"typ": "JWT"}, False),
        ({"alg": "HS256", "crit": ["x"], "x": 1}, False),
        ({"alg": "HS256", "b64": False, "crit": ["b64"]}, False),
        ({"alg": "HS256", "jku": "http://127.0.0.1:9/keys", "kid": "../../x"}, True),
    ],
)
def test_the_header_of_a_token_chooses_nothing(client: FlaskClient, header: dict[str, Any], accepted: bool) -> None:
    assert answer(client, f"Bearer {with_header(header)}")[0] == (200 if accepted else 401)


def test_deep_nesting_in_a_token_is_refused(client: FlaskClient) -> None:
    nested: Any = 74
    for _ in range(400):
        nested = [nested]

    assert answer(client, f"Bearer {with_header({'alg': 'HS256'}, {'id': nested, 'exp': FAR_AWAY})}")[0] == 401


def test_longer_hmacs_are_fine_and_a_previous_secret_too(make_app: MakeApp) -> None:
    client = make_app(JWT_SECRET_KEY=SECRET * 2, JWT_PREVIOUS_SECRET_KEY=OTHER_SECRET * 2).test_client()

    for key, algorithm in [(SECRET * 2, "HS256"), (OTHER_SECRET * 2, "HS384"), (OTHER_SECRET * 2, "HS512")]:
        assert answer(client, f"Bearer {make_token(key=key, algorithm=algorithm)}") == (200, "")
    assert answer(client, f"Bearer {make_token(key='x' * 64)}") == (401, "token_invalid")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iss": "https://auth.example.com", "aud": "sessions"}, 200),
        ({"iss": "https://auth.example.com", "aud": ["web", "sessions"]}, 200),
        ({"iss": "https://auth.example.com", "aud": "web"}, 401),
        ({"iss": "https://auth.example.com"}, 401),
        ({"iss": "https://evil.example.com", "aud": "sessions"}, 401),
        ({"aud": "sessions"}, 401),
    ],
)
def test_issuer_and_audience_are_checked_where_they_are_set(
    make_app: MakeApp, claims: dict[str, Any], status: int
) -> None:
    client = make_app(JWT_ISSUER="https://auth.example.com", JWT_AUDIENCE="sessions").test_client()

    assert answer(client, f"Bearer {make_token(**claims)}")[0] == status
