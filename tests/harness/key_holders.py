"""Holders of tokens that are signed with published keys, and what they are answered."""

from typing import Any

from flask.testing import FlaskClient

from tests.harness.auth_server import SigningKey
from tests.harness.support import components_of

OLD, NEW = SigningKey.make("old"), SigningKey.make("new")


def ask(client: FlaskClient, token: str) -> tuple[int, str | None]:
    response = client.get("/sessions/active-devices-count", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json.get("code")


OK = (200, None)
REFUSED = (401, "token_invalid")
NO_KEY = (503, "auth_server_unavailable")


def source_of(client: FlaskClient) -> Any:
    return components_of(client.application).tokens.keys
