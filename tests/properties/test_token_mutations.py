"""Tokens that were changed a little: none is believed but another spelling of the same, and that is the same token.

The verifier is asked as the guards ask it, 100,000 times and more; what it keeps in memory is asked along.
"""

import base64
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from session_service.auth_server.tokens import TokenVerifier
from session_service.records import Token
from tests.harness.options import Numbers
from tests.harness.reports import note
from tests.harness.support import make_token
from tests.harness.verifiers import ask, make_verifier

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PRIVATE_PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

VERIFIERS: dict[str, tuple[dict[str, Any], str]] = {
    "HS256": ({}, make_token(74, sid="s", jti="j")),
    "ES256": ({"JWT_PUBLIC_KEY": PEM}, make_token(74, key=PRIVATE_PEM, algorithm="ES256")),
}


@pytest.fixture(params=VERIFIERS)
def subject(request: pytest.FixtureRequest) -> tuple[TokenVerifier, str, Token]:
    """Return a verifier, a token that it believes, and what that says."""
    values, encoded = VERIFIERS[request.param]
    verifier = make_verifier(**values)
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


def test_100000_random_edits(
    subject: tuple[TokenVerifier, str, Token], request: pytest.FixtureRequest, numbers: Numbers
) -> None:
    verifier, encoded, said = subject
    dice, tried, unchanged = random.Random(request.node.name), 0, 0
    while tried < numbers.token_edits:
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
