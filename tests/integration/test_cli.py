"""Commands for people."""

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from session_service.app import create_app
from tests.harness.support import SECRET, settings


def test_a_token_for_trying_things_out_works(app: Flask, client: FlaskClient) -> None:
    printed = app.test_cli_runner().invoke(args=["token", "74", "--role", "admin", "--minutes", "5"])

    response = client.get("/sessions/user/75", headers={"Authorization": f"Bearer {printed.output.strip()}"})

    assert (printed.exit_code, response.status_code) == (0, 200)
    claims = jwt.decode(printed.output.strip(), SECRET, algorithms=["HS256"])
    assert (claims["id"], claims["role"]) == (74, "admin")


@pytest.mark.parametrize("user_id", ["0", "x", "074", str(2**63)])
def test_a_token_for_nobody_is_refused(app: Flask, user_id: str) -> None:
    printed = app.test_cli_runner().invoke(args=["token", user_id])

    assert printed.exit_code != 0
    assert "USER_ID" in printed.output


def test_without_the_shared_secret_no_token_can_be_made() -> None:
    public = (
        "-----BEGIN PUBLIC KEY-----\\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n"
        "-----END PUBLIC KEY-----"
    )
    app = create_app(settings(JWT_PUBLIC_KEY=public, DATABASE_URL="postgresql://x@127.0.0.1:9/x"))

    printed = app.test_cli_runner().invoke(args=["token", "74"])

    assert printed.exit_code == 1
    assert "no JWT_SECRET_KEY" in printed.output
