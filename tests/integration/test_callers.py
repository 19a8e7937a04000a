"""What each endpoint accepts: every route with every kind of caller, as the table in `docs/api.md` has it."""

import re
from typing import Any

import pytest
from flask import Flask

from tests.harness.api_description import FILES, served
from tests.harness.paths import PROJECT
from tests.harness.support import CHROME, MakeApp, basic, make_token, sign_in_with

API = PROJECT / "docs" / "api.md"
CREDENTIALS = {"backend": "a-secret-of-the-backend", "billing": "another-secret-of-billing"}
CALLERS = (
    "nobody",
    "user 74",
    "another user",
    "an admin",
    "a service",
    "expired token",
    "token of another server",
    "refresh token",
)


def table() -> dict[str, dict[str, int]]:
    """Return the documented statuses by endpoint and caller."""
    (header, _, *lines) = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| endpoint \| nobody .*?(?=\n\n)", API.read_text(), re.M | re.S)[0].splitlines()
    ]
    return {line[0].strip("`"): dict(zip(header[1:], map(int, line[1:]), strict=True)) for line in lines}


TABLE = table()

SENT_ALONG: dict[str, dict[str, Any]] = {
    "/sessions/introspect": {"data": {"token": "whatever"}},
    "/sessions/search": {"query_string": {"user_id": "74"}},
    "/sessions/end": {"json": {"user_id": 75, "expected": 9}},
}
"""What an endpoint needs beside the caller's credentials."""


def authorization(caller: str, name: str) -> str | None:
    """Return what a caller sends; *name* makes the token one that nobody else has."""
    tokens = {
        "user 74": make_token(74, n=name),
        "another user": make_token(75, n=name),
        "an admin": make_token(1, n=name, role="admin"),
        "expired token": make_token(74, n=name, exp=1, role="admin"),
        "token of another server": make_token(74, n=name, key="the-secret-of-another-auth-server", role="admin"),
        "refresh token": make_token(74, n=name, type="refresh", role="admin"),
    }
    if caller == "a service":
        return basic("billing", CREDENTIALS["billing"])["Authorization"]
    return f"Bearer {tokens[caller]}" if caller in tokens else None


def test_the_table_has_every_route_and_every_caller(app: Flask) -> None:
    documented = {tuple(endpoint.split(" ")) for endpoint in TABLE}

    assert documented == served(app) - FILES
    assert all(tuple(statuses) == CALLERS for statuses in TABLE.values())


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("endpoint", TABLE)
def test_every_endpoint_answers_every_caller_as_documented(make_app: MakeApp, endpoint: str, caller: str) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    sign_in = sign_in_with(client)
    victim = sign_in(74, user_agent="Firefox")
    method, path = endpoint.split(" ")
    sent = authorization(caller, endpoint)
    headers = {"User-Agent": CHROME} | ({"Authorization": sent} if sent else {})
    if sent and caller in {"user 74", "another user", "an admin"} and endpoint != "POST /sessions/create":
        assert client.post("/sessions/create", headers=headers).status_code == 201

    response = client.open(
        path.replace("{session_id}", str(victim.id)).replace("{user_id}", "74"),
        method=method,
        headers=headers,
        **SENT_ALONG.get(path, {}),
    )
    with response:
        assert response.status_code == TABLE[endpoint][caller], response.text

    if response.status_code in {401, 403, 404}:
        still = victim.get("/sessions/validate")
        assert (still.status_code, still.json["session_id"]) == (200, victim.id)
    if response.status_code == 401:
        scheme = "Basic" if path.endswith(("introspect", "feed")) else "Bearer"
        assert response.headers["WWW-Authenticate"].startswith(scheme)
