"""The verifier of tokens: what it remembers of a verification, and that a public key verifies its own family alone."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from session_service.auth_server import tokens
from session_service.auth_server.jwks import StaticKeys, verification_keys
from session_service.auth_server.keys import HMAC_ALGORITHMS, Key
from session_service.auth_server.tokens import TokenVerifier
from tests.harness.support import FAR_AWAY, SECRET, hs256, make_token, raw_token, settings
from tests.harness.verifiers import NOW, ask


class Counting(StaticKeys):
    """Keys that count how often they are asked for."""

    asked = 0
    _next_secret: str | None = None

    def find(self, kid: str | None) -> tuple[Key, ...]:
        self.asked += 1
        found = super().find(kid)
        if self._next_secret is not None:
            self.change(self._next_secret)
            self._next_secret = None
        return found

    def change_once_found(self, secret: str) -> None:
        """Change the keys after they were looked up the next time, before that look-up's caller uses them."""
        self._next_secret = secret

    def change(self, secret: str) -> None:
        self._keys, self.generation = (Key(secret, HMAC_ALGORITHMS),), self.generation + 1


@pytest.fixture
def keys() -> Counting:
    return Counting((Key(SECRET, HMAC_ALGORITHMS),))


@pytest.fixture
def verifier(keys: Counting) -> TokenVerifier:
    return TokenVerifier(settings(), keys)


def test_a_token_is_verified_once(verifier: TokenVerifier, keys: Counting) -> None:
    said = [ask(verifier, make_token(74)) for _ in range(5)]

    assert said[0]
    assert said == said[:1] * 5
    assert keys.asked == 1


def test_what_is_remembered_does_not_outlive_exp(verifier: TokenVerifier) -> None:
    token = make_token(74, exp=int(NOW.timestamp()) + 10)
    instants = [NOW, NOW + timedelta(seconds=10, microseconds=-1), NOW + timedelta(seconds=10)]

    assert [ask(verifier, token, now) is not None for now in instants] == [True, True, False]
    with pytest.raises(jwt.ExpiredSignatureError):
        verifier.verify(token, instants[2])


def test_what_is_remembered_does_not_outlive_its_key(verifier: TokenVerifier, keys: Counting) -> None:
    token = make_token(74)
    assert ask(verifier, token)

    keys.change("another-secret-with-quite-enough-bytes")
    assert ask(verifier, token) is None
    keys.change(SECRET)
    assert ask(verifier, token)


def test_what_is_verified_while_the_keys_change_is_not_remembered(verifier: TokenVerifier, keys: Counting) -> None:
    token = make_token(74)

    keys.change_once_found("another-secret-with-quite-enough-bytes")

    assert verifier.verify(token, NOW).user_id == "74"
    assert ask(verifier, token) is None


def test_a_restart_forgets(keys: Counting) -> None:
    for _ in range(2):
        assert ask(TokenVerifier(settings(), keys), make_token(74))

    assert keys.asked == 2


def test_it_is_bounded_and_forgets_whom_it_has_not_seen_for_longest(
    verifier: TokenVerifier, keys: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 100)
    small = TokenVerifier(settings(), keys)
    for n in range(250):
        assert ask(small, make_token(74, n=n))

    assert len(small._remembered) == 100
    keys.asked = 0
    assert ask(small, make_token(74, n=249))
    assert keys.asked == 0
    assert ask(small, make_token(74, n=0))
    assert keys.asked == 1
    assert verifier._remembered.maxsize == 10_000


def test_no_two_tokens_are_mixed(verifier: TokenVerifier) -> None:
    for _ in range(3):
        for user_id in range(1, 200):
            said = ask(verifier, make_token(user_id, sid=f"s{user_id}"))
            assert said
            assert (said.user_id, said.sid, said.exp) == (str(user_id), f"s{user_id}", FAR_AWAY)


def test_a_known_header_and_payload_with_another_signature_is_not_believed(verifier: TokenVerifier) -> None:
    token = make_token(74)
    assert ask(verifier, token)

    assert ask(verifier, token.rpartition(".")[0] + "." + make_token(75).rpartition(".")[2]) is None


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["RS256", "ES256", "ES384", "EdDSA"],
)
def test_a_public_key_verifies_its_own_family_and_never_an_hmac(private: Any, algorithm: str) -> None:
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    trusting = settings(JWT_PUBLIC_KEY=pem.decode().replace("\n", "\\n"))
    verifier = TokenVerifier(trusting, verification_keys(trusting))

    assert verifier.verify(make_token(key=key, algorithm=algorithm), NOW).user_id == "74"
    for forged in (raw_token({"alg": "HS256"}, {"id": 74, "exp": FAR_AWAY}, hs256(pem)), make_token()):
        with pytest.raises(jwt.InvalidTokenError):
            verifier.verify(forged, NOW)
