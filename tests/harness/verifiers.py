"""The verifier of tokens, asked directly as the guards ask it."""

from datetime import UTC, datetime
from typing import Any

import jwt

from session_service.auth_server.jwks import verification_keys
from session_service.auth_server.tokens import TokenVerifier
from session_service.records import Token
from tests.harness.support import settings

NOW = datetime(2026, 2, 8, tzinfo=UTC)


def ask(verifier: TokenVerifier, encoded: str, now: datetime = NOW) -> Token | None:
    """Return what a token says, as the guards learn it; None for one that is refused."""
    try:
        return verifier.verify(encoded, now)
    except jwt.InvalidTokenError:
        return None


def make_verifier(**values: Any) -> TokenVerifier:
    chosen = settings(**values)
    return TokenVerifier(chosen, verification_keys(chosen))
