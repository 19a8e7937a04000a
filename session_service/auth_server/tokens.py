"""Verifies the auth server's tokens: from a token's text to a `Token`.

PyJWT checks signatures, issuer and audience. Everything else is checked here, because flask-jwt-extended's own rules
do not fit tokens that another server issues: they accept a token without `exp`, require `sub`, and judge `iat`. The
extension answers errors by its loaders (`views.problems`), and its decorators use the same verifier.
"""

import hashlib
import re
import warnings
from datetime import datetime
from threading import Lock
from typing import Any

import jwt
from cachetools import LRUCache
from flask_jwt_extended import JWTManager
from jwt.algorithms import HMACAlgorithm

from session_service.auth_server.claims import ClaimProblem, check_claims, read_claims
from session_service.auth_server.jwks import VerificationKeys
from session_service.auth_server.keys import HMAC_ALGORITHMS, Key
from session_service.clock import utcnow
from session_service.config import Settings
from session_service.records import Token

# The secret's length is checked at start (`JWT_ALLOW_SHORT_SECRET`); a token's header must not cause log lines.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)

MAX_TOKEN_LENGTH = 4096
MAX_REMEMBERED = 10_000
"""Verified tokens that one process remembers; some hundred bytes each."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515 section 7.1 with the base64url of section 2: no padding, no white space."""


class _CheckedSecret(HMACAlgorithm):
    """HMAC with a secret that `keys.shared_secret` has examined at start. PyJWT examines it again for each token."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key


_PYJWT = jwt.PyJWT()
for _name in HMAC_ALGORITHMS:
    _PYJWT._jws.unregister_algorithm(_name)
    _PYJWT._jws.register_algorithm(_name, _CheckedSecret(getattr(HMACAlgorithm, f"SHA{_name[2:]}")))

_REFUSALS: list[tuple[type[jwt.InvalidTokenError], str, str]] = [
    (jwt.ExpiredSignatureError, "expired", ""),
    (jwt.ImmatureSignatureError, "not_yet_valid", ""),
    (jwt.InvalidSignatureError, "signature", ""),
    (jwt.InvalidAlgorithmError, "algorithm", ""),
    (jwt.InvalidAudienceError, "claims", "aud is not JWT_AUDIENCE"),
    (jwt.InvalidIssuerError, "claims", "iss is not JWT_ISSUER"),
    (jwt.DecodeError, "malformed", ""),
]


def refusal_of(error: jwt.InvalidTokenError) -> tuple[str, str]:
    """Return why a token was refused: a kind, for metrics, and details that contain nothing of the token, or "".

    The kinds are `expired`, `not_yet_valid`, `signature`, `algorithm`, `malformed` and `claims`.
    """
    if isinstance(error, ClaimProblem):
        return "claims", str(error)
    if isinstance(error, jwt.MissingRequiredClaimError):
        return "claims", f"{error.claim} is missing"
    return next(((kind, words) for known, kind, words in _REFUSALS if isinstance(error, known)), ("claims", ""))


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
        text = _digest(encoded)
        remembered = self._recall(text, now)
        if remembered:
            return remembered
        # Read before the keys are used: if they change meanwhile, what is remembered does not count.
        generation = self.keys.generation
        token = read_claims(self.verified_claims(encoded, now), encoded, self._settings)
        with self._lock:
            self._remembered[text] = (generation, token)
        return token

    def remembered(self, encoded: str, now: datetime) -> Token | None:
        """Return what a token says that was verified before and still counts; None for any other text."""
        return self._recall(_digest(encoded), now)

    def _recall(self, text: bytes, now: datetime) -> Token | None:
        with self._lock:
            generation, token = self._remembered.get(text, (None, None))
        return token if token and generation == self.keys.generation and token.expires_at > now else None

    def verified_claims(self, encoded: str, now: datetime) -> dict[str, Any]:
        """Return the claims of a token whose signature, times, issuer, audience and kind are right.

        Raises:
            What `verify` raises.
        """
        if len(encoded) > MAX_TOKEN_LENGTH or not _COMPACT.fullmatch(encoded):
            raise jwt.DecodeError("not a compact JWS")
        claims = self._signed_claims(encoded)
        check_claims(claims, now)
        return claims

    def _signed_claims(self, encoded: str) -> dict[str, Any]:
        """Return the claims if one of the keys has signed them. `jku`, `x5u` and `jwk` (RFC 7515) are not read."""
        refused: jwt.InvalidTokenError = jwt.InvalidSignatureError("no key")
        try:
            # PyJWT decodes the whole token for this, and again below.
            kid = jwt.get_unverified_header(encoded).get("kid") if self.keys.have_names else None
            for key in self.keys.find(kid):
                try:
                    return self._decode(encoded, key)
                except jwt.InvalidAlgorithmError as error:
                    refused = error
                except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
                    refused = jwt.InvalidSignatureError("no key")
        except RecursionError as error:
            raise jwt.DecodeError("nested too deeply") from error
        raise refused

    def _decode(self, encoded: str, key: Key) -> dict[str, Any]:
        settings = self._settings
        return _PYJWT.decode(
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


def _digest(encoded: str) -> bytes:
    return hashlib.sha256(encoded.encode()).digest()


class AuthServerTokens(JWTManager):
    """flask-jwt-extended's manager: its loaders answer token errors, its decorators use our verifier."""

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__()
        self._verifier = verifier

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: object = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        return self._verifier.verified_claims(encoded_token, utcnow())
