"""Callers whose roles only the auth server knows, and what they are answered."""

from flask.testing import FlaskClient

from tests.harness.support import CHROME, make_token

ADMIN, MEMBER = make_token(1), make_token(74)


def ask_as(
    client: FlaskClient, token: str, path: str = "/sessions/user/74", method: str = "GET"
) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME}
    answer = client.open(path, method=method, headers=headers).json
    return (200, None) if isinstance(answer, list) or "code" not in answer else (answer["status"], answer["code"])


YES, NO, UNAVAILABLE = (200, None), (403, "admin_required"), (503, "auth_server_unavailable")
