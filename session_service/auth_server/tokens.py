"""Verifies the auth server's tokens: from a token's text to a `Token`.

PyJWT checks signatures, issuer and audience. Everything else is checked here, because flask-jwt-extended's own rules
do not fit tokens that another server issues: they accept a token without `exp`, require `sub`, and judge `iat`. The
extension answers errors by its loaders (`views.problems`), and its decorators use the same verifier.
"""

import hashlib
import re
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import jwt
from cachetools import LRUCache
from flask_jwt_extended import JWTManager

from session_service.auth_server.jwks import VerificationKeys
from session_service.auth_server.keys import Key
from session_service.clock import utcnow
from session_service.config import Settings
from session_service.records import Token, UserIdType
from session_service.rules.identifiers import is_short_text, parse_user_id

# The secret's length is checked at start (`JWT_ALLOW_SHORT_SECRET`); a token's header must not cause log lines.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)

MAX_TOKEN_LENGTH = 4096
MAX_REMEMBERED = 10_000
"""Verified tokens that one process remembers; some hundred bytes each."""
NOT_BEFORE_LEEWAY = timedelta(seconds=30)

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515 section 7.1 with the base64url of section 2: no padding, no white space."""

_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
_LAST_TIMESTAMP = int(_LAST_INSTANT.timestamp())
_KIND_CLAIMS = ("type", "token_type", "token_use")


class TokenVerifier:
    """Verifies tokens by the keys and the claims that the settings ask for."""

    def __init__(self, settings: Settings, keys: VerificationKeys) -> None:
        self.keys = keys
        self._settings = settings
        self._remembered: LRUCache[bytes, tuple[int, Token]] = LRUCache(MAX_REMEMBERED)
        self._lock = Lock()

    def verify(self, encoded: str, now: datetime) -> Token:
        """Return what a valid token says. The result is remembered until the token's `exp` or a change of the keys.

        Args:
            encoded: its text. All of it is the key of what is remembered: another spelling is verified anew.
            now: timezone-aware.

        Raises:
            jwt.ExpiredSignatureError: valid until its ``exp``, which is exclusive and has no leeway.
            jwt.InvalidTokenError: anything else; the reason is for the log, not for the caller.
            AuthServerUnavailable: there never was a key to verify it with.
        """
        # Read before the keys are used: if they change meanwhile, what is remembered does not count.
        generation, digest = self.keys.generation, hashlib.sha256(encoded.encode()).digest()
        with self._lock:
            remembered = self._remembered.get(digest)
        if remembered and remembered[0] == generation and remembered[1].expires_at > now:
            return remembered[1]
        token = self.read(encoded, self.verified_claims(encoded, now))
        with self._lock:
            self._remembered[digest] = (generation, token)
        return token

    def verified_claims(self, encoded: str, now: datetime) -> dict[str, Any]:
        """Return the claims of a token whose signature, times, issuer, audience and kind are right.

        Raises:
            What `verify` raises.
        """
        if len(encoded) > MAX_TOKEN_LENGTH or not _COMPACT.fullmatch(encoded):
            raise jwt.DecodeError("not a compact JWS")
        claims = self._signed_claims(encoded)
        _check_kind(claims)
        _check_not_before(claims, now)
        _check_expiry(claims, now)
        return claims

    def _signed_claims(self, encoded: str) -> dict[str, Any]:
        """Return the claims if one of the keys has signed them. `jku`, `x5u` and `jwk` (RFC 7515) are not read."""
        try:
            kid = jwt.get_unverified_header(encoded).get("kid")
            for key in self.keys.find(kid):
                try:
                    return self._decode(encoded, key)
                except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
                    continue
        except RecursionError as error:
            raise jwt.DecodeError("nested too deeply") from error
        raise jwt.InvalidSignatureError("no key fits")

    def _decode(self, encoded: str, key: Key) -> dict[str, Any]:
        settings = self._settings
        return jwt.decode(
            encoded,
            key.material,
            algorithms=list(key.algorithms),
            issuer=settings.JWT_ISSUER,
            audience=settings.JWT_AUDIENCE,
            options={
                "require": ["exp"],
                "verify_aud": settings.JWT_AUDIENCE is not None,
                # Checked here, more strictly (exp is an integer, nbf has a leeway), or not at all (iat: clocks differ).
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )

    def read(self, encoded: str, claims: Mapping[str, Any]) -> Token:
        """Return the verified *claims* of *encoded* as a `Token`.

        Raises:
            jwt.InvalidTokenError: a claim that this service needs has the wrong type.
        """
        settings = self._settings
        user_id = _user_id(claims, settings.JWT_USER_ID_CLAIM, settings.USER_ID_TYPE)
        return Token(
            user_id=user_id,
            sid=_text(claims, "sid"),
            key=_token_key(user_id, _text(claims, "jti"), encoded),
            exp=claims["exp"],
            expires_at=_expires_at(claims["exp"]),
            is_admin=user_id in settings.ADMIN_USER_IDS or holds_role(claims, settings),
        )


class AuthServerTokens(JWTManager):
    """flask-jwt-extended's manager: its loaders answer token errors, its decorators use our verifier."""

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__()
        self._verifier = verifier

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: object = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        return self._verifier.verified_claims(encoded_token, utcnow())


def _check_kind(claims: Mapping[str, Any]) -> None:
    kinds = [claims.get(name) for name in _KIND_CLAIMS]
    if any(isinstance(kind, str) and kind.lower() == "refresh" for kind in kinds):
        raise jwt.InvalidTokenError("a refresh token is no access token")


def _check_not_before(claims: Mapping[str, Any], now: datetime) -> None:
    not_before = claims.get("nbf")
    if not_before is None:
        return
    # RFC 7519 section 2: a NumericDate may have a fraction. NaN compares false, and so is refused.
    if type(not_before) not in {int, float} or not not_before <= (now + NOT_BEFORE_LEEWAY).timestamp():
        raise jwt.ImmatureSignatureError("not valid yet")


def _check_expiry(claims: Mapping[str, Any], now: datetime) -> None:
    if type(claims["exp"]) is not int:
        raise jwt.DecodeError("exp must be an integer")
    if claims["exp"] <= now.timestamp():
        # The extension's error handler reads both.
        expired: Any = jwt.ExpiredSignatureError("expired")
        expired.jwt_header, expired.jwt_data = {}, {}
        raise expired


def _expires_at(exp: int) -> datetime:
    """Return *exp* as an instant, or the last possible one: some tokens last beyond the year 9999."""
    return _LAST_INSTANT if exp >= _LAST_TIMESTAMP else datetime.fromtimestamp(exp, UTC)


def _user_id(claims: Mapping[str, Any], names: tuple[str, ...], kind: UserIdType) -> str:
    value = next((claims[name] for name in names if name in claims), None)
    user_id = parse_user_id(str(value) if type(value) is int and kind == "integer" else value, kind)
    if user_id is None:
        raise jwt.InvalidTokenError("no usable user id")
    return user_id


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not (isinstance(value, str) and is_short_text(value)):
        raise jwt.InvalidTokenError(f"{name} must be a text")
    return value


def _token_key(user_id: str, jti: str | None, encoded: str) -> bytes:
    """Return a digest of this token. Not of its raw text: a signature has several spellings, its input has one."""
    named = f"jti\0{user_id}\0{jti}" if jti is not None else f"input\0{user_id}\0{encoded.rpartition('.')[0]}"
    return hashlib.sha256(named.encode()).digest()


def holds_role(claims: Mapping[str, Any], settings: Settings) -> bool:
    """Return whether the claim `JWT_ROLE_CLAIM`, a text or a list, holds one of `ADMIN_ROLES`.

    A claim of just that name comes first (some are URLs, dots and all), then the path that its dots describe.
    """
    found: object = claims
    path = settings.JWT_ROLE_CLAIM
    for name in [path] if path in claims else path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return settings.makes_admin(found)
