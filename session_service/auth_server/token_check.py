"""Explains to an operator how one token is judged: which key, algorithm and claims count, and which setting would help.

For a terminal: the findings name values of the token. What a request is told is decided by `tokens`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import jwt
from jwt.types import Options

from session_service.auth_server.keys import EC_ALGORITHMS, HMAC_ALGORITHMS, RSA_ALGORITHMS
from session_service.auth_server.tokens import TokenVerifier, refusal_of
from session_service.clock import as_text
from session_service.config import Settings
from session_service.errors import AuthServerUnavailable
from session_service.rules.identifiers import parse_user_id

_ONLY_SIGNATURE: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
_ASYMMETRIC = (*RSA_ALGORITHMS, *(name for names in EC_ALGORITHMS.values() for name in names), "EdDSA")


class Finding(NamedTuple):
    """One thing that was looked at."""

    subject: str
    found: str
    advice: str | None = None
    """What would make the token acceptable, as far as this is concerned; None if it is acceptable."""


class TokenCheck(NamedTuple):
    """What was found out about one token."""

    findings: list[Finding]
    refusal: str | None
    """Why it is refused, as the log line of a request says it; None if it is accepted."""


def check_token(encoded: str, settings: Settings, verifier: TokenVerifier, now: datetime) -> TokenCheck:
    """Return how *encoded* is judged at *now*. Claims are explained even if no key fits."""
    return TokenCheck(list(_findings(encoded, settings, verifier, now)), _refusal(encoded, verifier, now))


def _refusal(encoded: str, verifier: TokenVerifier, now: datetime) -> str | None:
    try:
        verifier.verify(encoded, now)
    except jwt.InvalidTokenError as error:
        kind, details = refusal_of(error)
        return f"{kind}: {details}" if details else kind
    except AuthServerUnavailable:
        return "signature: the key set could not be fetched"
    return None


def _findings(encoded: str, settings: Settings, verifier: TokenVerifier, now: datetime) -> Iterator[Finding]:
    try:
        header = jwt.get_unverified_header(encoded)
        claims = jwt.decode(encoded, options={"verify_signature": False})
    except (jwt.InvalidTokenError, RecursionError):
        advice = "pass an access token alone: three parts of base64url with dots between them, at most 4,096 characters"
        yield Finding("token", "not a JWT in compact form", advice)
        return
    yield _algorithm(header, settings)
    yield _key(encoded, header, settings, verifier)
    yield _expiry(claims, now)
    yield from _issuer_and_audience(claims, settings)
    yield from _kind(claims)
    yield _user_id(claims, settings)


def _algorithm(header: Mapping[str, Any], settings: Settings) -> Finding:
    name = str(header.get("alg"))
    if settings.JWT_SECRET_KEY is not None:
        accepted: tuple[str, ...] = HMAC_ALGORITHMS
        advice = "set JWT_JWKS_URL or JWT_PUBLIC_KEY instead of JWT_SECRET_KEY" if name in _ASYMMETRIC else None
    else:
        accepted = _ASYMMETRIC
        advice = "set JWT_SECRET_KEY instead of the public key" if name in HMAC_ALGORITHMS else None
    if name in accepted:
        return Finding("algorithm", name)
    return Finding("algorithm", name, advice or f"let the auth server sign with one of {', '.join(accepted)}")


def _key(encoded: str, header: Mapping[str, Any], settings: Settings, verifier: TokenVerifier) -> Finding:
    name = next(
        name for name in ("JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "JWT_JWKS_URL") if getattr(settings, name) is not None
    )
    kid = header.get("kid")
    try:
        keys = verifier.keys.find(kid)
    except AuthServerUnavailable:
        return Finding("key", f"{name} could not be fetched", "make the key set reachable from this machine")
    if not keys:
        return Finding("key", f"{name} has no key named {kid!r}", "let the auth server publish that key")
    for number, key in enumerate(keys):
        if _is_signed_by(encoded, key.material, key.algorithms):
            return Finding("key", "JWT_PREVIOUS_SECRET_KEY" if number and name == "JWT_SECRET_KEY" else name)
    advice = f"set {name} to the auth server's own" + (
        ", and the one before it as JWT_PREVIOUS_SECRET_KEY" if name == "JWT_SECRET_KEY" else ""
    )
    return Finding("key", f"{name} did not sign this token", advice)


def _is_signed_by(encoded: str, material: Any, algorithms: tuple[str, ...]) -> bool:
    try:
        jwt.decode(encoded, material, list(algorithms), options=_ONLY_SIGNATURE)
    except (jwt.PyJWTError, RecursionError):
        return False
    return True


def _expiry(claims: Mapping[str, Any], now: datetime) -> Finding:
    exp = claims.get("exp")
    if type(exp) is not int:
        found = "missing" if exp is None else f"{json.dumps(exp)} is not an integer"
        return Finding("exp", found, "let the auth server put exp into its tokens, as whole seconds since 1970")
    if exp > now.timestamp():
        try:
            return Finding("exp", as_text(datetime.fromtimestamp(exp, UTC)))
        except (ValueError, OverflowError, OSError):
            return Finding("exp", f"{exp}, beyond the year 9999")
    return Finding(
        "exp", f"{as_text(datetime.fromtimestamp(max(exp, 0), UTC))}, which has passed", "pass a fresh token"
    )


def _issuer_and_audience(claims: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    for name, setting, wanted in (
        ("iss", "JWT_ISSUER", settings.JWT_ISSUER),
        ("aud", "JWT_AUDIENCE", settings.JWT_AUDIENCE),
    ):
        value = claims.get(name)
        if wanted is None:
            continue
        if wanted == value or (name == "aud" and isinstance(value, list) and wanted in value):
            yield Finding(name, str(wanted))
        else:
            first = value[0] if isinstance(value, list) and value else value
            advice = f"set {setting}={first}" if isinstance(first, str) else f"unset {setting}"
            yield Finding(name, f"{json.dumps(value)}, not {wanted}", advice)


def _kind(claims: Mapping[str, Any]) -> Iterator[Finding]:
    for name in ("type", "token_type", "token_use"):
        if isinstance(claims.get(name), str) and claims[name].lower() == "refresh":
            yield Finding(name, "refresh", "pass the access token")


def _user_id(claims: Mapping[str, Any], settings: Settings) -> Finding:
    names = settings.JWT_USER_ID_CLAIM
    present = next((name for name in names if name in claims), None)
    if present is None:
        others = [name for name, value in claims.items() if name != "exp" and _is_id(value, "integer")]
        advice = f"set JWT_USER_ID_CLAIM={others[0]}" if others else "let the auth server put the user's id into sub"
        return Finding("user id", f"none of {', '.join(names)} is present", advice)
    value = claims[present]
    if _is_id(value, settings.USER_ID_TYPE):
        return Finding("user id", f"{present} = {json.dumps(value)}")
    if settings.USER_ID_TYPE == "integer" and _is_id(value, "string"):
        found = f"{present} = {json.dumps(value)}, not a whole number from 1 to 2^63-1"
        return Finding("user id", found, "set USER_ID_TYPE=string")
    return Finding("user id", f"{present} = {json.dumps(value)[:80]}", "let the auth server put the user's id there")


def _is_id(value: object, kind: Any) -> bool:
    text = str(value) if type(value) is int and kind == "integer" else value
    return parse_user_id(text, kind) is not None
