"""Who calls: users with three devices each, and tokens in the shape that today's auth server gives."""

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
"""What a user's devices send, the first, the second and the third."""

NEW_USER_AGENTS = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
"""What signs in: none of the devices that a user has already."""

DEVICES = len(USER_AGENTS)
_FIRST_EXP = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


def token_of(user_id: int, number: int, secret: str) -> str:
    """Return the user's access token of this number: as with tokens of two sign-ins, only `exp` tells them apart."""
    payload = {"id": user_id, "email": f"user{user_id}@example.com", "exp": _FIRST_EXP + number}
    return jwt.encode(payload, secret, algorithm="HS256")


def token_keys(tokens: list[str], secret: str) -> list[bytes]:
    """Return what `session_tokens` has for each of these tokens."""
    settings = Settings(JWT_SECRET_KEY=secret)
    return [
        read_claims(jwt.decode(token, options={"verify_signature": False}), token, settings).key for token in tokens
    ]
