"""The auth server's keys: from a PEM or a JWK Set to keys, each with the algorithms that it may be used with.

No claims here, no settings, and nothing is fetched.
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
"""Each algorithm names its curve (RFC 7518 section 3.4), so a key of one curve serves one algorithm."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

MAX_KEYS = 100
"""More than any auth server publishes at once."""

_KINDS: dict[object, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
_PUBLIC_MEMBERS = ("kty", "n", "e", "crv", "x", "y")
"""Of RFC 7518 section 6 and RFC 8037 section 2: what was published of a private key by mistake is not even read."""


class KeyProblem(ValueError):
    """A key cannot be used; the words complete the name of its setting, and hold nothing of the key."""


@dataclass(frozen=True)
class Key:
    """A key of the auth server, with the algorithms that it may be used with: of one family only."""

    material: Any
    """A secret's text, or a public key of `cryptography`."""
    algorithms: tuple[str, ...]
    kid: str | None = None


def shared_secret(text: str) -> Key:
    """Return the secret *text* as a key.

    Raises:
        KeyProblem: it is a public key in one of its forms, which would be no secret.
    """
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
        is_public = "-----BEGIN" in text
    except PyJWTError:
        is_public = True
    if is_public:
        raise KeyProblem("must be a shared secret; a public key belongs into JWT_PUBLIC_KEY")
    return Key(text, HMAC_ALGORITHMS)


def public_key(pem: str) -> Key:
    """Return the public key in *pem*.

    Raises:
        KeyProblem: no public key in PEM, a private one, too short, or of a kind without a JWT algorithm.
    """
    if "PRIVATE KEY" in pem:
        raise KeyProblem("must be the public key; the private one stays on the auth server")
    try:
        # Environment files often hold line breaks as a backslash and an n.
        material = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem("must be a public key in PEM") from error
    return Key(material, _algorithms_of(material))


def parse_key_set(body: bytes) -> tuple[Key, ...]:
    """Return the keys of a JWK Set (RFC 7517 section 5) that verify signatures; others in it are passed over.

    Raises:
        KeyProblem: no JWK Set, or none of its keys can be used.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeyProblem("is no JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeyProblem(f"is no set of at most {MAX_KEYS} keys")
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _parse_key(entry)))
    if not keys:
        raise KeyProblem("holds no key that can be used")
    return keys


def _parse_key(entry: Mapping[str, Any]) -> Key | None:
    """Return the key of one JWK (RFC 7517 section 4), or None where it is not for us or cannot be used."""
    kid, kind, operations = entry.get("kid"), entry.get("kty"), entry.get("key_ops", ["verify"])
    is_for_signatures = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not (is_for_signatures and isinstance(kind, str) and kind in _KINDS):
        return None
    if kid is not None and not (isinstance(kid, str) and is_short_text(kid)):
        return None
    public = {name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}
    try:
        material = _KINDS[kind].from_jwk(public)
        algorithms = _algorithms_of(material)
    except (PyJWTError, ValueError, TypeError, AttributeError, UnsupportedAlgorithm):
        return None
    named = entry.get("alg")
    if named is None:
        return Key(material, algorithms, kid)
    return Key(material, (named,), kid) if named in algorithms else None


def _algorithms_of(material: object) -> tuple[str, ...]:
    """Return what *material* may verify: one family only, never HMAC (RFC 8725 section 3.1)."""
    if isinstance(material, RSAPublicKey) and material.key_size >= MIN_RSA_BITS:
        return RSA_ALGORITHMS
    if isinstance(material, EllipticCurvePublicKey) and material.curve.name in EC_ALGORITHMS:
        return EC_ALGORITHMS[material.curve.name]
    if isinstance(material, Ed25519PublicKey | Ed448PublicKey):
        return ("EdDSA",)
    raise KeyProblem(f"must be RSA of at least {MIN_RSA_BITS} bits, P-256, P-384, P-521, Ed25519 or Ed448")
