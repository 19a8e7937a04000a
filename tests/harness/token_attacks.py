"""Attacks on tokens, one a row, each with its source: on a service that trusts a secret, and on one with a key set."""

import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.harness.auth_server import SigningKey
from tests.harness.support import FAR_AWAY, SECRET, hs256, raw_token

NOW = 1_770_000_000
ISSUER, AUDIENCE = "https://auth.example.com", "sessions"
KEY = SigningKey.make("one", "ES256")
RSA_KEY = SigningKey.make("two", "RS256")
EVIL = SigningKey.make("evil", "ES256")
HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS: dict[str, Any] = {"sub": "74", "exp": FAR_AWAY, "iss": ISSUER, "aud": AUDIENCE}

Attack = tuple[str, str]
"""The source, and the token."""


def token(header: object = HEADER, claims: object = CLAIMS, secret: str | bytes = SECRET) -> str:
    return raw_token(header, claims, hs256(secret))


def unsigned(header: object, signature: bytes = b"") -> str:
    return raw_token(header, CLAIMS, lambda _signed: signature)


def with_claims(**changes: Any) -> str:
    return token(claims={name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...})


def pem(key: SigningKey) -> bytes:
    return bytes(key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def text(claims: str) -> str:
    """Return a token whose payload is this very text."""
    return token(claims=claims.encode())


def signed(header: dict[str, Any], key: SigningKey = KEY, **claims: Any) -> str:
    return key.sign(headers=header, **{**CLAIMS, **claims})


HIGH = ec.SECP256R1().key_size // 8

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (SEC 2, section 2.4.2)."""


def halves(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:HIGH]), int.from_bytes(signature[HIGH:])


def es256(header: dict[str, Any], claims: object = CLAIMS, change: Callable[[bytes], bytes] = bytes) -> str:
    def sign(data: bytes) -> bytes:
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        return change(algorithm.sign(data, KEY.private))

    return raw_token({"alg": "ES256", "kid": "one", **header}, claims, sign)


NESTED = "[" * 1_000 + "]" * 1_000
GOOD = token()

ODD = next(one for n in range(99) if {"-", "_"} <= set(one := token(claims={**CLAIMS, "n": n})))
"""Looks otherwise in the standard alphabet of base64."""

SHARED_SECRET: dict[str, Attack] = {
    # the algorithm
    "alg none": ("RFC 8725 2.1; ASVS 9.1.2", unsigned({"alg": "none"})),
    "alg None": ("CVE-2018-1000531; ASVS 9.1.2", unsigned({"alg": "None"})),
    "alg nOnE, with a signature": ("RFC 8725 2.1", unsigned({"alg": "nOnE"}, b"x" * 32)),
    "alg none, signed all the same": ("RFC 8725 2.1", token({"alg": "none"})),
    "no alg": ("RFC 7515 4.1.1", token({"typ": "JWT"})),
    "alg null": ("RFC 7515 4.1.1", token({"alg": None})),
    "alg a list": ("RFC 7515 4.1.1", token({"alg": ["HS256"]})),
    "alg a number": ("RFC 7515 4.1.1", token({"alg": 256})),
    "alg empty": ("RFC 7515 4.1.1", token({"alg": ""})),
    "alg in lower case": ("RFC 7515 4.1.1: case-sensitive", token({"alg": "hs256"})),
    "alg with a blank": ("RFC 7515 4.1.1", token({"alg": "HS256 "})),
    "alg unknown": ("RFC 8725 3.1; ASVS 9.1.2", token({"alg": "HS257"})),
    "alg of another family": ("RFC 8725 3.1; ASVS 9.1.2", token({"alg": "RS256"})),
    "alg of another length": ("RFC 8725 3.1", token({"alg": "HS512"})),
    "a public key's signature": ("RFC 8725 3.1; ASVS 9.1.2", EVIL.sign(**CLAIMS)),
    # the signature
    "no signature": ("ASVS 9.1.1", GOOD.rpartition(".")[0] + "."),
    "no third part": ("RFC 7515 7.1", GOOD.rpartition(".")[0]),
    "a fourth part": ("RFC 7515 7.1", GOOD + ".e30"),
    "five parts, as if encrypted": ("RFC 7516 7.1", "e30.e30.e30.e30.e30"),
    "JSON serialization": ("RFC 7515 7.2", json.dumps({"payload": "e30", "signatures": []})),
    "another secret": ("ASVS 9.1.1", token(secret="another-secret-with-quite-enough-bytes")),
    "an empty secret": ("RFC 7518 3.2", token(secret=b"")),
    "the secret's beginning": ("ASVS 9.1.1", token(secret=SECRET[:32])),
    "signature cut by a byte": ("ASVS 9.1.1", GOOD[:-2]),
    "signature of zeros": ("CVE-2022-21449", unsigned(HEADER, b"\0" * 32)),
    "padded": ("RFC 7515 2: no padding", GOOD + "="),
    "standard alphabet": ("RFC 7515 2: base64url", ODD.replace("-", "+").replace("_", "/")),
    "white space within": ("RFC 7515 2: no white space", GOOD[:40] + " " + GOOD[40:]),
    "a line break within": ("RFC 7515 2", GOOD[:40] + "%0A" + GOOD[40:]),
    "another token's signature": (
        "ASVS 9.1.1",
        with_claims(sub="1").rpartition(".")[0] + "." + GOOD.rpartition(".")[2],
    ),
    # the header
    "crit unknown": ("RFC 7515 4.1.11; CVE-2026-32597", token({**HEADER, "crit": ["x"], "x": 1})),
    "crit empty": ("RFC 7515 4.1.11", token({**HEADER, "crit": []})),
    "crit a text": ("RFC 7515 4.1.11", token({**HEADER, "crit": "x"})),
    "crit b64": ("RFC 7797 3", token({**HEADER, "crit": ["b64"], "b64": False})),
    "b64 without crit": ("RFC 7797 6", token({**HEADER, "b64": False})),
    "header a list": ("RFC 7515 4", token(["HS256"])),
    "header null": ("RFC 7515 4", token(b"null")),
    "header no JSON": ("RFC 7515 4", token(b"{alg:HS256}")),
    "header no UTF-8": ("RFC 7515 4", token(b'{"alg":"HS256\xff"}')),
    "header a nesting bomb": ("CWE-674; ASVS 1.5", token(f'{{"alg":"HS256","x":{NESTED}}}'.encode())),
    "kid a number": ("RFC 7515 4.1.4", token({**HEADER, "kid": 5})),
    # the claims
    "payload a list": ("RFC 7519 3", text("[]")),
    "payload a text": ("RFC 7519 3", text('"74"')),
    "payload null": ("RFC 7519 3", text("null")),
    "payload empty": ("RFC 7519 3", text("")),
    "payload no UTF-8": ("RFC 7519 3", token(claims=b'{"sub":"\xff"}')),
    "payload a nesting bomb": ("CWE-674; ASVS 1.5", text(NESTED)),
    "a claim that is a nesting bomb": (
        "CWE-674",
        text(json.dumps(CLAIMS)[:-1] + f',"x":{NESTED}}}'),
    ),
    "the kind a nesting bomb": ("CWE-674", text(json.dumps({**CLAIMS, "sub": 5})[:-1] + f',"type":{NESTED}}}')),
    "two subs, the last one wrong": ("RFC 7519 4: the last counts", text(json.dumps(CLAIMS)[:-1] + ',"sub":"x"}')),
    "two exps, the last one past": ("RFC 7519 4", text(json.dumps(CLAIMS)[:-1] + ',"exp":1}')),
    "no exp": ("ASVS 9.2.1", with_claims(exp=...)),
    "exp null": ("RFC 7519 4.1.4", with_claims(exp=None)),
    "exp a text": ("RFC 7519 4.1.4", with_claims(exp=str(FAR_AWAY))),
    "exp true": ("RFC 7519 4.1.4", with_claims(exp=True)),
    "exp a list": ("RFC 7519 4.1.4", with_claims(exp=[FAR_AWAY])),
    "exp an object": ("RFC 7519 4.1.4", with_claims(exp={})),
    "exp a float": ("contract: an integer", with_claims(exp=FAR_AWAY + 0.5)),
    "exp NaN": ("RFC 8259 6", text(json.dumps({**CLAIMS, "exp": float("nan")}))),
    "exp infinite": ("RFC 8259 6", text(json.dumps({**CLAIMS, "exp": float("inf")}))),
    "exp 1e400": ("RFC 8259 6", text(json.dumps(CLAIMS).replace(str(FAR_AWAY), "1e400"))),
    "exp of 5,000 digits, over 4 kB": (
        "CWE-190; CVE-2020-10735",
        text(json.dumps(CLAIMS).replace(str(FAR_AWAY), "9" * 5_000)),
    ),
    "exp negative": ("RFC 7519 4.1.4", with_claims(exp=-1)),
    "exp now": ("RFC 7519 4.1.4: exclusive", with_claims(exp=NOW)),
    "nbf later": ("RFC 7519 4.1.5; ASVS 9.2.1", with_claims(nbf=NOW + 31)),
    "nbf a text": ("RFC 7519 4.1.5", with_claims(nbf="0")),
    "nbf NaN": ("RFC 8259 6", text(json.dumps({**CLAIMS, "nbf": float("nan")}))),
    "nbf infinite": ("RFC 8259 6", text(json.dumps({**CLAIMS, "nbf": float("inf")}))),
    "another issuer": ("RFC 8725 3.8; ASVS 9.2.3", with_claims(iss="https://evil.example.com")),
    "no issuer": ("RFC 8725 3.8", with_claims(iss=...)),
    "issuers in a list": ("RFC 7519 4.1.1", with_claims(iss=[ISSUER])),
    "an issuer that begins alike": ("CVE-2024-53861", with_claims(iss=ISSUER[:-1])),
    "another audience": ("RFC 8725 3.9; ASVS 9.2.3", with_claims(aud="billing")),
    "no audience": ("RFC 8725 3.9; ASVS 9.2.3", with_claims(aud=...)),
    "an audience that is part of ours": ("RFC 7519 4.1.3", with_claims(aud="session")),
    "an audience that is an object": ("RFC 7519 4.1.3", with_claims(aud={"sessions": True})),
    "a refresh token": ("RFC 8725 3.12; ASVS 9.2.2", with_claims(type="refresh")),
    "a refresh token by token_use": ("RFC 8725 3.12; ASVS 9.2.2", with_claims(token_use="Refresh")),
    "no user": ("RFC 7519 4.1.2", with_claims(sub=...)),
    "user null": ("RFC 7519 4.1.2", with_claims(sub=None)),
    "user true": ("RFC 7519 4.1.2", with_claims(sub=True)),
    "user zero": ("contract: from 1", with_claims(sub=0)),
    "user negative": ("contract: from 1", with_claims(sub="-74")),
    "user a float": ("contract: an integer", with_claims(sub=74.0)),
    "user beyond 64 bits": ("CWE-190", with_claims(sub=2**63)),
    "user of 3,000 digits": ("CWE-190; CVE-2020-10735", with_claims(sub=int("9" * 2_800))),
    "user an object": ("RFC 7519 4.1.2", with_claims(sub={"$ne": 1})),
    "user a list": ("RFC 7519 4.1.2", with_claims(sub=[74])),
    "user SQL": ("CWE-89", with_claims(sub="74' OR '1'='1")),
    "user with a NUL": ("CWE-158", with_claims(sub="74\0")),
    "user in other digits": ("Unicode TR 36", with_claims(sub="\u0667\u0664")),
    "sid an object": ("OIDC Front-Channel Logout 3", with_claims(sid={})),
    "sid a lone surrogate": ("RFC 8259 8.2", with_claims(sid="\ud800")),
    "jti a list": ("RFC 7519 4.1.7", with_claims(jti=["a"])),
    "larger than 4 kB": ("CWE-770", with_claims(padding="x" * 4_096)),
}

PUBLISHED_KEYS: dict[str, Attack] = {
    "alg none": ("RFC 8725 2.1; ASVS 9.1.2", unsigned({"alg": "none", "kid": "one"})),
    "the public key as a secret, PEM": (
        "RFC 8725 2.1; CVE-2015-9235",
        raw_token({"alg": "HS256", "kid": "two"}, CLAIMS, hs256(pem(RSA_KEY))),
    ),
    "the public key as a secret, JWK": (
        "RFC 8725 2.1; CVE-2022-29217",
        raw_token({"alg": "HS256", "kid": "two"}, CLAIMS, hs256(json.dumps(RSA_KEY.jwk))),
    ),
    "the public key as a secret, without kid": ("CVE-2015-9235", raw_token(HEADER, CLAIMS, hs256(pem(KEY)))),
    "an empty secret": ("RFC 8725 3.5", raw_token({"alg": "HS256", "kid": "one"}, CLAIMS, hs256(b""))),
    "another key under a known name": ("ASVS 9.1.1", signed({"kid": "one"}, EVIL)),
    "another key under its own name": ("ASVS 9.1.3", EVIL.sign(**CLAIMS)),
    "a known key under the other's name": ("RFC 8725 3.1", signed({"kid": "two"})),
    "jwk brings its own key": ("RFC 7515 4.1.3; CVE-2018-0114", signed({"kid": "one", "jwk": EVIL.jwk}, EVIL)),
    "jku leads elsewhere": ("RFC 8725 3.10; ASVS 9.1.3", signed({"kid": "one", "jku": "http://127.0.0.1:9/"}, EVIL)),
    "x5u leads elsewhere": ("RFC 8725 3.10; ASVS 9.1.3", signed({"kid": "one", "x5u": "http://127.0.0.1:9/"}, EVIL)),
    "x5c brings its own": ("RFC 7515 4.1.6; ASVS 9.1.3", signed({"kid": "one", "x5c": ["MIIB"]}, EVIL)),
    "kid a path": ("RFC 8725 3.10", signed({"kid": "../../dev/null"}, EVIL)),
    "kid SQL": ("RFC 8725 3.10", signed({"kid": "one' UNION SELECT 'x"}, EVIL)),
    "kid an object": ("RFC 7515 4.1.4", raw_token({"alg": "ES256", "kid": {}}, CLAIMS, lambda _signed: b"x" * 64)),
    "crit": ("RFC 7515 4.1.11; CVE-2026-32597", es256({"crit": ["exp"]})),
    "alg of another curve": ("RFC 7518 3.4", es256({"alg": "ES384"})),
    "alg of another family": ("RFC 8725 3.1", es256({"alg": "RS256"})),
    "signature of zeros": ("CVE-2022-21449", es256({}, change=lambda _signature: b"\0" * 64)),
    "signature of the order": ("CVE-2022-21449", es256({}, change=lambda _signature: ORDER.to_bytes(HIGH) * 2)),
    "signature in DER": ("RFC 7518 3.4", es256({}, change=lambda one: encode_dss_signature(*halves(one)))),
    "signature with a byte before": ("RFC 7518 3.4", es256({}, change=lambda one: b"\0" + one)),
}
