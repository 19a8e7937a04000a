"""The callers: users with three devices each, and tokens in the format of `examples/auth_server.py`."""

from datetime import UTC, datetime

import jwt

from session_service.auth_server.claims import read_claims
from session_service.config import Settings

USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
"""The user agents of a user's three devices, in order."""

NEW_USER_AGENTS = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
"""User agents of new devices that sign in, none of which a user already has."""

AGENTS = USER_AGENTS + NEW_USER_AGENTS
DEVICES = len(USER_AGENTS)
_FIRST_EXP = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


def token_of(user_id: int, number: int, secret: str) -> str:
    """Return the user's access token of this number. As in tokens of two sign-ins, only `exp` differs."""
    payload = {"id": user_id, "email": f"user{user_id}@example.com", "exp": _FIRST_EXP + number}
    return jwt.encode(payload, secret, algorithm="HS256")


def token_keys(tokens: list[str], secret: str) -> list[bytes]:
    """Return the `token_key` that `session_tokens` stores for each of these tokens."""
    settings = Settings(JWT_SECRET_KEY=secret)
    return [
        read_claims(jwt.decode(token, options={"verify_signature": False}), token, settings).key for token in tokens
    ]
