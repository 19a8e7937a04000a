"""Tokens that were changed a little: none is believed but another spelling of the same, and that is the same token.

The verifier is asked as the guards ask it, 100,000 times and more; what it keeps in memory is asked along.
"""

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from session_service.auth_server import tokens
from session_service.auth_server.jwks import StaticKeys, verification_keys
from session_service.auth_server.keys import HMAC_ALGORITHMS, Key
from session_service.auth_server.tokens import TokenVerifier
from session_service.records import Token
from tests.harness.reports import note
from tests.harness.support import FAR_AWAY, SECRET, make_token, settings

NOW = datetime(2026, 2, 8, tzinfo=UTC)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
EDITS = 100_000

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE_PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

VERIFIERS: dict[str, tuple[dict[str, Any], str]] = {
    "HS256": ({}, make_token(74, sid="s", jti="j")),
    "ES256": ({"JWT_PUBLIC_KEY": PEM}, make_token(74, key=PRIVATE_PEM, algorithm="ES256")),
}


def ask(verifier: TokenVerifier, encoded: str, now: datetime = NOW) -> Token | None:
    """Return what a token says, as the guards learn it; None for one that is refused."""
    try:
        return verifier.verify(encoded, now)
    except jwt.InvalidTokenError:
        return None


def make(**values: Any) -> TokenVerifier:
    chosen = settings(**values)
    return TokenVerifier(chosen, verification_keys(chosen))


@pytest.fixture(params=VERIFIERS)
def subject(request: pytest.FixtureRequest) -> tuple[TokenVerifier, str, Token]:
    """Return a verifier, a token that it believes, and what that says."""
    values, encoded = VERIFIERS[request.param]
    verifier = make(**values)
    said = ask(verifier, encoded)
    assert said
    return verifier, encoded, said


def check(verifier: TokenVerifier, mutant: str, original: str, said: Token) -> bool:
    """Return whether *mutant* is believed; it must be the same token then."""
    believed = ask(verifier, mutant)
    if believed is not None and mutant != original:
        # An equivalent: another spelling of the same signature, over the very same header and payload.
        assert mutant.rpartition(".")[0] == original.rpartition(".")[0], mutant
        assert believed == said
    return believed is not None


def test_cut_at_any_length(subject: tuple[TokenVerifier, str, Token]) -> None:
    verifier, encoded, said = subject

    believed = [n for n in range(len(encoded) + 1) if check(verifier, encoded[:n], encoded, said)]

    assert believed == [len(encoded)]


def test_every_bit_flipped(subject: tuple[TokenVerifier, str, Token]) -> None:
    """Of the bytes that the three parts stand for, and of the characters that they are written in."""
    verifier, encoded, said = subject
    parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in encoded.split(".")]
    mutants = []
    for which, part in enumerate(parts):
        for bit in range(len(part) * 8):
            changed = bytearray(part)
            changed[bit // 8] ^= 1 << bit % 8
            pieces = [*parts[:which], bytes(changed), *parts[which + 1 :]]
            mutants.append(".".join(base64.urlsafe_b64encode(piece).rstrip(b"=").decode() for piece in pieces))
    for place, character in enumerate(encoded):
        mutants += [f"{encoded[:place]}{chr(ord(character) ^ 1 << bit)}{encoded[place + 1 :]}" for bit in range(8)]

    assert not [mutant for mutant in mutants if check(verifier, mutant, encoded, said)]


EDIT: list[Callable[[random.Random, str], str]] = [
    lambda dice, text: _replaced(dice, text, dice.choice(ALPHABET)),
    lambda dice, text: _replaced(dice, text, dice.choice(ALPHABET) + dice.choice(ALPHABET)),
    lambda dice, text: _replaced(dice, text, ""),
    lambda dice, text: _replaced(dice, text, dice.choice(". =+/\t%é\0")),
    lambda dice, text: text + dice.choice(ALPHABET + "=.") * dice.randint(1, 4),
    lambda dice, text: dice.choice(ALPHABET) + text,
    lambda dice, text: _swapped(text, *sorted(dice.sample(range(len(text)), 2))),
    lambda dice, text: ".".join(dice.sample(text.split("."), text.count(".") + 1)),
    lambda dice, text: text.swapcase() if dice.random() < 0.01 else _replaced(dice, text, dice.choice("AZaz")),
]


def _replaced(dice: random.Random, text: str, by: str) -> str:
    place = dice.randrange(len(text))
    return text[:place] + by + text[place + 1 :]


def _swapped(text: str, one: int, other: int) -> str:
    return text[:one] + text[other] + text[one + 1 : other] + text[one] + text[other + 1 :]


def test_100000_random_edits(subject: tuple[TokenVerifier, str, Token], request: pytest.FixtureRequest) -> None:
    verifier, encoded, said = subject
    dice, tried, unchanged = random.Random(request.node.name), 0, 0
    while tried < EDITS:
        mutant = encoded
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            mutant = dice.choice(EDIT)(dice, mutant)
        if mutant == encoded:
            unchanged += 1
            continue
        tried += 1
        assert not check(verifier, mutant, encoded, said), mutant

    note(f"{tried} edits of a token: none believed; {unchanged} changed nothing")
    assert ask(verifier, encoded) == said


# What is remembered of a verification


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
