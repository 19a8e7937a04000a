"""The accounts and tokens of the example auth server: no web framework here, so that every example can use them.

The users are made up and are kept in memory. An access token has the claims `id`, `email` and `exp`. A refresh token
has the same claims, is signed with another secret, and lasts longer.
"""

import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field

import jwt


def _required(name: str) -> str:
    """Return an environment variable; an empty one counts as missing."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"Set {name}.")
    return value


ACCESS_SECRET = _required("JWT_SECRET_KEY")
REFRESH_SECRET = _required("REFRESH_SECRET_KEY")
ACCESS_SECONDS = 30 * 60
REFRESH_SECONDS = 7 * 24 * 3600


@dataclass
class User:
    """A user with an account."""

    id: int
    email: str
    role: str
    is_disabled: bool = False
    _salt: bytes = field(default_factory=lambda: os.urandom(16))
    _hash: bytes = b""

    def set_password(self, password: str) -> None:
        self._hash = self._hashed(password)

    def has_password(self, password: str) -> bool:
        return hmac.compare_digest(self._hash, self._hashed(password))

    def _hashed(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**14, r=8, p=1)


USERS = {1: User(1, "admin@example.com", "admin")} | {n: User(n, f"user{n}@example.com", "user") for n in range(74, 85)}
for _user in USERS.values():
    _user.set_password(_required("DEMO_PASSWORD"))


def sign_in(email: str, password: str) -> User | None:
    """Return the user with this e-mail address and password; None if there is none, or the account is disabled."""
    user = next((user for user in USERS.values() if user.email == email), None)
    return user if user and user.has_password(password) and not user.is_disabled else None


def issue_tokens(user: User, **claims: str) -> dict[str, str]:
    """Return an access token and a refresh token. Two calls for one user within one second return the same text."""
    now = int(time.time())
    who = {"id": user.id, "email": user.email, **claims}
    return {
        "access_token": jwt.encode({**who, "exp": now + ACCESS_SECONDS}, ACCESS_SECRET, algorithm="HS256"),
        "refresh_token": jwt.encode({**who, "exp": now + REFRESH_SECONDS}, REFRESH_SECRET, algorithm="HS256"),
        "token_type": "bearer",
    }


def read_token(token: str, secret: str) -> tuple[User, dict[str, str]] | None:
    """Return the token's user and its `sid` claim, if it has one; None if the token is not valid."""
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp", "id"]})
    except jwt.InvalidTokenError:
        return None
    user = USERS.get(claims["id"])
    return (user, {"sid": claims["sid"]} if "sid" in claims else {}) if user and not user.is_disabled else None


def bearer_of(authorization: str) -> str:
    """Return the token of an Authorization header; empty if there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
