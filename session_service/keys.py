"""The auth server's keys: which algorithms a key may be used with. No claims here, and no settings."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
"""Each algorithm names its curve (RFC 7518 section 3.4), so a key of one curve serves one algorithm."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""


class KeyProblem(ValueError):
    """A key cannot be used; the words complete "JWT_PUBLIC_KEY …" and hold nothing of the key."""


def public_key_algorithms(pem: str) -> tuple[str, ...]:
    """Return the algorithms that the public key *pem* may verify: one family only, never HMAC (RFC 8725 section 3.1).

    Raises:
        KeyProblem: no public key in PEM, a private one, too short, or of a kind without a JWT algorithm.
    """
    if "PRIVATE KEY" in pem:
        raise KeyProblem("must be the public key; the private one stays on the auth server")
    try:
        key = load_pem_public_key(normalised_pem(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyProblem("must be a public key in PEM") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return RSA_ALGORITHMS
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in EC_ALGORITHMS:
        return EC_ALGORITHMS[key.curve.name]
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return ("EdDSA",)
    raise KeyProblem(f"must be RSA of at least {MIN_RSA_BITS} bits, P-256, P-384, P-521, Ed25519 or Ed448")


def normalised_pem(pem: str) -> bytes:
    """Return *pem* with real line breaks: environment files often hold them as a backslash and an n."""
    return pem.replace("\\n", "\n").encode()
