"""What tests make: settings, tokens, signed-in devices. The fixtures are in `conftest`."""

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import jwt
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from session_service.components import NAME, Components
from session_service.config import Settings

MakeApp = Callable[..., Flask]
"""Returns an application on the test's database, with the settings given."""

USER = 74
"""The user of most tests."""

SECRET = "a-secret-of-the-tests-with-enough-bytes"
FAR_AWAY = 4_102_444_800
"""An `exp` in the year 2100."""

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
)


def components_of(app: Flask) -> Components:
    """Return what the factory has built for an application."""
    built: Components = app.extensions[NAME]
    return built


def settings(**values: Any) -> Settings:
    """Return settings for tests: a known secret, no sign-in flood, activity written at once."""
    defaults = {"JWT_SECRET_KEY": SECRET, "MAX_SIGN_INS_PER_MINUTE": 0, "ACTIVITY_INTERVAL_SECONDS": 0}
    if values.keys() & {"JWT_PUBLIC_KEY", "JWT_JWKS_URL"}:
        del defaults["JWT_SECRET_KEY"]
    return Settings(**{**defaults, **values})


def make_token(user_id: object = 74, /, *, key: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """Return an access token in the shape that today's auth server gives; *claims* add to it, None takes away."""
    payload = {"id": user_id, "email": f"user{user_id}@example.com", "exp": FAR_AWAY, **claims}
    present = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm)


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the header by which a service calls (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def raw_token(header: object, payload: object, sign: Callable[[bytes], bytes]) -> str:
    """Return a token made by hand, of bytes as they are or of values as JSON; *sign* gets what is to be signed."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = b".".join(_segment(part) for part in parts)
    return (signed + b"." + _segment(sign(signed))).decode()


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def hs256(secret: str | bytes = SECRET) -> Callable[[bytes], bytes]:
    """Return what signs with a shared secret."""
    key = secret.encode() if isinstance(secret, str) else secret
    return lambda signed: hmac.digest(key, signed, "sha256")


def respelt(token: str) -> str:
    """Return *token* with its signature spelt otherwise: the last character has bits that many readers pass over."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def body(response: TestResponse) -> Any:
    """Return what a JSON answer holds, whatever that is."""
    return response.json


@dataclass
class SignedIn:
    """A signed-in device: a client with its user agent, its address and its token."""

    client: FlaskClient
    headers: dict[str, str]
    address: str
    session: dict[str, Any]

    @property
    def id(self) -> int:
        return int(self.session["id"])

    def call(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """Call an endpoint from this device."""
        return self.client.open(
            path, method=method, headers=self.headers, environ_base={"REMOTE_ADDR": self.address}, **kwargs
        )

    def get(self, path: str) -> TestResponse:
        return self.call("GET", path)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("POST", path, **kwargs)

    def delete(self, path: str) -> TestResponse:
        return self.call("DELETE", path)


SignIn = Callable[..., SignedIn]
_numbers = count(1)


def sign_in_with(client: FlaskClient) -> SignIn:
    """Return `sign_in` for another client."""

    def sign_in(
        user_id: object = 74,
        *,
        user_agent: str = CHROME,
        address: str = "203.0.113.7",
        token: str | None = None,
        body: dict[str, Any] | None = None,
        **claims: Any,
    ) -> SignedIn:
        token = token or make_token(user_id, n=next(_numbers), **claims)
        device = SignedIn(client, {"Authorization": f"Bearer {token}", "User-Agent": user_agent}, address, {})
        response = device.post("/sessions/create", **({"json": body} if body is not None else {}))
        assert response.status_code == 201, response.json
        device.session = response.json or {}
        return device

    return sign_in
