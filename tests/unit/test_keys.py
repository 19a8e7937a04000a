"""Keys of a published set: which are used, for which algorithms, and which are passed over."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from session_service.auth_server.keys import KeyProblem, parse_key_set
from tests.harness.auth_server import KINDS, SigningKey

OLD, NEW = SigningKey.make("old"), SigningKey.make("new")


def jwk(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**OLD.jwk, **changes}.items() if value is not ...}


SMALL = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(), as_dict=True)


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (jwk(), ("ES256",)),
        (jwk(alg=...), ("ES256",)),
        (jwk(use=...), ("ES256",)),
        (jwk(kid=...), ("ES256",)),
        (jwk(key_ops=["verify"]), ("ES256",)),
        (jwk(unknown="member"), ("ES256",)),
        (jwk(d=KINDS["ES256"][1].to_jwk(OLD.private, as_dict=True)["d"]), ("ES256",)),
        (SigningKey.make("r", "RS256").jwk | {"alg": "PS256"}, ("PS256",)),
        (jwk(use="enc"), None),
        (jwk(key_ops=["sign"]), None),
        (jwk(key_ops="verify"), None),
        (jwk(alg="HS256"), None),
        (jwk(alg="none"), None),
        (jwk(alg="ES384"), None),
        (jwk(alg=["ES256"]), None),
        (jwk(kid=5), None),
        (jwk(kid=""), None),
        (jwk(kid="x" * 256), None),
        (jwk(x=5), None),
        (jwk(x="!"), None),
        (jwk(x=None), None),
        (jwk(y=jwk()["x"]), None),
        (jwk(crv="secp256k1"), None),
        (jwk(crv=["P-256"]), None),
        (jwk(kty="oct", k="AAAA"), None),
        (SMALL, None),
    ],
)
def test_a_key_is_used_for_what_it_is_for_or_passed_over(
    entry: dict[str, Any], algorithms: tuple[str, ...] | None
) -> None:
    if algorithms is None:
        with pytest.raises(KeyProblem):
            parse_key_set(json.dumps({"keys": [entry]}).encode())
    good, *_ = keys = parse_key_set(json.dumps({"keys": [NEW.jwk, entry]}).encode())

    assert good.kid == "new"
    assert [key.algorithms for key in keys[1:]] == ([algorithms] if algorithms else [])
    assert not any(hasattr(key.material, "sign") for key in keys)
