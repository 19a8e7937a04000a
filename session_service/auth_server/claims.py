"""What the claims of a token must be, and what they mean here. The errors contain nothing of the token."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from session_service.config import Settings
from session_service.records import Token, UserIdType
from session_service.rules.claim_limits import claim_limit, find_claim
from session_service.rules.identifiers import is_short_text, parse_user_id

NOT_BEFORE_LEEWAY = timedelta(seconds=30)

_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
_LAST_TIMESTAMP = int(_LAST_INSTANT.timestamp())
_KIND_CLAIMS = ("type", "token_type", "token_use")


class ClaimProblem(jwt.InvalidTokenError):
    """A claim is not as this service needs it. The message contains nothing of the token."""


def check_claims(claims: Mapping[str, Any], now: datetime) -> None:
    """Check a token's kind and times.

    Raises:
        jwt.ExpiredSignatureError: its ``exp`` has passed; ``exp`` is exclusive and has no leeway.
        jwt.InvalidTokenError: a refresh token, not valid yet, or ``exp`` is not an integer.
    """
    _check_kind(claims)
    _check_not_before(claims, now)
    _check_expiry(claims, now)


def read_claims(claims: Mapping[str, Any], encoded: str, settings: Settings) -> Token:
    """Return the verified *claims* of the token *encoded*.

    Raises:
        ClaimProblem: a claim that this service needs is missing or has the wrong type.
    """
    user_id = _user_id(claims, settings.JWT_USER_ID_CLAIM, settings.USER_ID_TYPE)
    role = find_claim(claims, settings.JWT_ROLE_CLAIM)
    return Token(
        user_id=user_id,
        sid=_text(claims, "sid"),
        key=_token_key(user_id, _text(claims, "jti"), encoded),
        exp=claims["exp"],
        expires_at=_expires_at(claims["exp"]),
        is_admin=user_id in settings.ADMIN_USER_IDS or settings.makes_admin(role),
        max_sessions=claim_limit(claims, settings.SESSION_LIMITS),
    )


def _check_kind(claims: Mapping[str, Any]) -> None:
    kinds = [claims.get(name) for name in _KIND_CLAIMS]
    if any(isinstance(kind, str) and kind.lower() == "refresh" for kind in kinds):
        raise ClaimProblem("it is a refresh token")


def _check_not_before(claims: Mapping[str, Any], now: datetime) -> None:
    not_before = claims.get("nbf")
    if not_before is None:
        return
    # RFC 7519 section 2: a NumericDate may have a fraction. NaN compares false, and so is refused.
    if type(not_before) not in {int, float} or not not_before <= (now + NOT_BEFORE_LEEWAY).timestamp():
        raise jwt.ImmatureSignatureError("not valid yet")


def _check_expiry(claims: Mapping[str, Any], now: datetime) -> None:
    if type(claims["exp"]) is not int:
        raise ClaimProblem("exp is not an integer")
    if claims["exp"] <= now.timestamp():
        # The extension's error handler reads both.
        expired: Any = jwt.ExpiredSignatureError("expired")
        expired.jwt_header, expired.jwt_data = {}, {}
        raise expired


def _expires_at(exp: int) -> datetime:
    """Return *exp* as an instant, or the last possible one: some tokens last beyond the year 9999."""
    return _LAST_INSTANT if exp >= _LAST_TIMESTAMP else datetime.fromtimestamp(exp, UTC)


def _user_id(claims: Mapping[str, Any], names: tuple[str, ...], kind: UserIdType) -> str:
    present = next((name for name in names if name in claims), None)
    if present is None:
        raise ClaimProblem(f"no user id: none of {', '.join(names)} is present")
    value = claims[present]
    parsed = parse_user_id(str(value) if type(value) is int and kind == "integer" else value, kind)
    if parsed is None:
        raise ClaimProblem(f"no usable user id in {present}")
    return parsed


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not (isinstance(value, str) and is_short_text(value)):
        raise ClaimProblem(f"{name} is not a text of 1 to 255 characters")
    return value


def key_of_jti(user_id: str, jti: str) -> bytes:
    """Return what identifies the user's token with this `jti`: `Token.key`."""
    return _digest("jti", user_id, jti)


def _token_key(user_id: str, jti: str | None, encoded: str) -> bytes:
    """Return a digest of this token. Not of its raw text: a signature has several spellings, its input has one."""
    return key_of_jti(user_id, jti) if jti is not None else _digest("input", user_id, encoded.rpartition(".")[0])


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
