"""Parses the auth server's keys: from a secret, a PEM or a JWK Set to keys, each with its permitted algorithms.

No claims, no settings and no network here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from session_service.rules.identifiers import is_short_text

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
"""By curve. Each algorithm prescribes its curve (RFC 7518 section 3.4), so a key fits exactly one algorithm."""

MIN_RSA_BITS = 2048
"""The least size of an RSA key (RFC 7518 section 3.3)."""

MAX_KEYS = 100
"""Most keys in a set; auth servers publish far fewer."""

_ALGORITHM_CLASSES: dict[object, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
_PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
"""From RFC 7518 section 6 and RFC 8037 section 2. Private members that were published by mistake are not read."""


class KeyProblem(ValueError):
    """A key cannot be used. The message continues the name of its setting, and contains no part of the key."""


@dataclass(frozen=True)
class Key:
    """A key of the auth server, with its permitted algorithms, all of one family."""

    material: Any
    """The text of a secret, or a public key object of `cryptography`."""
    algorithms: tuple[str, ...]
    kid: str | None = None


def shared_secret(text: str) -> Key:
    """Return the secret *text* as a key.

    Raises:
        KeyProblem: it is a public key in PEM or another text form, so it is not secret.
    """
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
        is_public = "-----BEGIN" in text
    except PyJWTError:
        is_public = True
    if is_public:
        raise KeyProblem("must be a shared secret; set JWT_PUBLIC_KEY for a public key")
    return Key(text, HMAC_ALGORITHMS)


def public_key(pem: str) -> Key:
    """Return the public key in *pem*.

    Raises:
        KeyProblem: not a public key in PEM, a private key, too short, or of a type without a JWT algorithm.
    """
    if "PRIVATE KEY" in pem:
        raise KeyProblem("must be the public key; the private one stays on the auth server")
    try:
        # Environment files often contain a backslash and an n instead of a line break.
        material = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem("must be a public key in PEM") from error
    return Key(material, _algorithms_of(material))


def parse_key_set(body: bytes) -> tuple[Key, ...]:
    """Return the keys of a JWK Set (RFC 7517 section 5) that verify signatures; other keys in it are ignored.

    Raises:
        KeyProblem: not a JWK Set, or it contains no usable key.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeyProblem("is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeyProblem(f"is not a JWK Set of at most {MAX_KEYS} keys")
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _parse_key(entry)))
    if not keys:
        raise KeyProblem("contains no usable key")
    return keys


def _parse_key(entry: Mapping[str, Any]) -> Key | None:
    """Return the key of one JWK (RFC 7517 section 4); None if it is not for signatures or not usable."""
    kid, key_type, operations = entry.get("kid"), entry.get("kty"), entry.get("key_ops", ["verify"])
    is_for_signatures = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not (is_for_signatures and isinstance(key_type, str) and key_type in _ALGORITHM_CLASSES):
        return None
    if kid is not None and not (isinstance(kid, str) and is_short_text(kid)):
        return None
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        material = _ALGORITHM_CLASSES[key_type].from_jwk(public)
        algorithms = _algorithms_of(material)
    except (PyJWTError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        return None
    algorithm = entry.get("alg")
    if algorithm is None:
        return Key(material, algorithms, kid)
    return Key(material, (algorithm,), kid) if algorithm in algorithms else None


def _algorithms_of(material: object) -> tuple[str, ...]:
    """Return the algorithms that *material* may verify: one family only, never HMAC (RFC 8725 section 3.1).

    Raises:
        KeyProblem: *material* is too short, or of a type without a JWT algorithm.
    """
    if isinstance(material, RSAPublicKey) and material.key_size >= MIN_RSA_BITS:
        return RSA_ALGORITHMS
    if isinstance(material, EllipticCurvePublicKey) and material.curve.name in EC_ALGORITHMS:
        return EC_ALGORITHMS[material.curve.name]
    if isinstance(material, Ed25519PublicKey | Ed448PublicKey):
        return ("EdDSA",)
    raise KeyProblem(f"must be RSA of at least {MIN_RSA_BITS} bits, P-256, P-384, P-521, Ed25519 or Ed448")
