"""`token-check`: an operator pipes a token into it and reads what is wrong and which setting would help."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from session_service.app import create_app
from tests.harness.support import SECRET, hs256, make_token, raw_token, settings

PRIVATE = ec.generate_private_key(ec.SECP256R1())
PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER_SECRET = "another-secret-with-quite-enough-bytes"
NONE_PRESENT = "none of sub, id, user_id is present"
TUTORIAL = jwt.encode({"sub": "johndoe", "exp": 4_102_444_800}, SECRET, algorithm="HS256")
"""A token of FastAPI's tutorial on OAuth2: `sub` is the user's name."""


def check(token: str, **values: Any) -> tuple[int, str]:
    app = create_app(settings(DATABASE_URL="postgresql://x@127.0.0.1:9/x", **values))
    printed = app.test_cli_runner().invoke(args=["token-check"], input=token)
    return printed.exit_code, printed.output


def elliptic(**claims: Any) -> str:
    return jwt.encode({"id": 74, "exp": 4_102_444_800, **claims}, PRIVATE, algorithm="ES256")


@pytest.mark.parametrize(
    ("token", "values", "refusal", "advice"),
    [
        (TUTORIAL, {}, "claims: no usable user id in sub", "set USER_ID_TYPE=string"),
        (
            make_token(None, uid=5),
            {},
            "claims: no user id: none of sub, id, user_id is present",
            "set JWT_USER_ID_CLAIM=uid",
        ),
        (make_token(True), {}, "claims: no usable user id in id", "let the auth server put the user's id there"),
        (make_token(key=OTHER_SECRET), {}, "signature", "set JWT_SECRET_KEY to the auth server's own"),
        (make_token(exp=1), {}, "expired", "pass a fresh token"),
        (make_token(exp=None), {}, "claims: exp is missing", "let the auth server put exp into its tokens"),
        (make_token(exp="soon"), {}, "claims: exp is not an integer", "let the auth server put exp into its tokens"),
        (make_token(type="refresh"), {}, "claims: it is a refresh token", "pass the access token"),
        (make_token(nbf=4_000_000_000), {}, "not_yet_valid", None),
        (make_token(sid=7), {}, "claims: sid is not a text of 1 to 255 characters", None),
        (elliptic(), {}, "algorithm", "set JWT_JWKS_URL or JWT_PUBLIC_KEY instead of JWT_SECRET_KEY"),
        (make_token(), {"JWT_PUBLIC_KEY": PEM}, "algorithm", "set JWT_SECRET_KEY instead of the public key"),
        (make_token(iss="b"), {"JWT_ISSUER": "a"}, "claims: iss is not JWT_ISSUER", "set JWT_ISSUER=b"),
        (make_token(aud=["b"]), {"JWT_AUDIENCE": "a"}, "claims: aud is not JWT_AUDIENCE", "set JWT_AUDIENCE=b"),
        (make_token(), {"JWT_AUDIENCE": "a"}, "claims: aud is missing", "unset JWT_AUDIENCE"),
        ("no token", {}, "malformed", "pass an access token alone"),
        ("", {}, "malformed", "pass an access token alone"),
        ("x" * 5_000, {}, "malformed", "pass an access token alone"),
        (raw_token({"alg": "none"}, {"id": 74}, lambda _: b""), {}, "malformed", None),
        (raw_token({"alg": "HS256", "crit": ["x"]}, {"id": 74, "exp": 4_102_444_800}, hs256()), {}, "claims", None),
    ],
)
def test_a_refused_token_is_explained(token: str, values: dict[str, Any], refusal: str, advice: str | None) -> None:
    code, said = check(token, **values)

    assert (code, said.splitlines()[-1]) == (1, f"refused: {refusal}")
    assert advice is None or f"-> {advice}" in said
    assert len(token) < 20 or token not in said


@pytest.mark.parametrize(
    ("token", "values"),
    [
        (make_token(), {}),
        (f"Bearer {make_token()}\n", {}),
        (make_token(exp=131_357_000_000), {}),
        (make_token(exp=10**18), {}),
        (TUTORIAL, {"USER_ID_TYPE": "string"}),
        (make_token(None, uid=5), {"JWT_USER_ID_CLAIM": ("uid",)}),
        (make_token(key=OTHER_SECRET), {"JWT_PREVIOUS_SECRET_KEY": OTHER_SECRET}),
        (elliptic(iss="a", aud=["x", "b"]), {"JWT_PUBLIC_KEY": PEM, "JWT_ISSUER": "a", "JWT_AUDIENCE": "b"}),
    ],
)
def test_what_the_advice_leads_to_is_accepted(token: str, values: dict[str, Any]) -> None:
    code, said = check(token, **values)

    assert (code, said.splitlines()[-1]) == (0, "accepted")
    assert "->" not in said


def test_a_key_of_before_is_named() -> None:
    assert "JWT_PREVIOUS_SECRET_KEY" in check(make_token(key=OTHER_SECRET), JWT_PREVIOUS_SECRET_KEY=OTHER_SECRET)[1]


def test_a_key_set_that_cannot_be_fetched_is_named() -> None:
    code, said = check(elliptic(), JWT_JWKS_URL="http://127.0.0.1:9/keys")

    assert (code, said.splitlines()[-1]) == (1, "refused: signature: the key set could not be fetched")
    assert "-> make the key set reachable from this machine" in said
