"""Creates tokens as the auth server would issue them, to try the service out."""

from datetime import datetime, timedelta
from typing import Any

import jwt

from session_service.config import Settings


def example_token(settings: Settings, user_id: str, *, role: str | None, lasts: timedelta, now: datetime) -> str:
    """Return a token that this service accepts for *user_id*.

    The user's id is in the claim `id` if `JWT_USER_ID_CLAIM` lists it, otherwise in the first claim listed there.

    Raises:
        ValueError: `JWT_SECRET_KEY` is not set, so only the auth server can issue tokens.
    """
    if settings.JWT_SECRET_KEY is None:
        raise ValueError("only the auth server can issue tokens here: this service has no JWT_SECRET_KEY")
    names = settings.JWT_USER_ID_CLAIM
    claims: dict[str, Any] = {
        "email": "somebody@example.com",
        "id" if "id" in names else names[0]: int(user_id) if settings.USER_ID_TYPE == "integer" else user_id,
        "exp": int((now + lasts).timestamp()),
        "iss": settings.JWT_ISSUER,
        "aud": settings.JWT_AUDIENCE,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    if role is not None:
        claims = _with_role(claims, settings.JWT_ROLE_CLAIM, role)
    return jwt.encode(claims, settings.JWT_SECRET_KEY, algorithm="HS256")


def _with_role(claims: dict[str, Any], path: str, role: str) -> dict[str, Any]:
    if "://" in path or "." not in path:
        return {**claims, path: role}
    first, _, rest = path.partition(".")
    return {**claims, first: _with_role({}, rest, role)}
