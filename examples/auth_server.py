"""A small auth server of a common kind: it issues tokens and keeps no record of them.

An access token contains `id`, `email` and `exp`. A refresh token contains the same, is signed with another secret and
lives longer. The users are invented and kept in memory. `docs/integration.md` starts from this server; the backends in
this folder use parts of it.

    JWT_SECRET_KEY=… REFRESH_SECRET_KEY=… DEMO_PASSWORD=… uvicorn examples.auth_server:app
"""

import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

ACCESS_SECRET = os.environ["JWT_SECRET_KEY"]
REFRESH_SECRET = os.environ["REFRESH_SECRET_KEY"]
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
    _user.set_password(os.environ["DEMO_PASSWORD"])


def sign_in(email: str, password: str) -> User | None:
    """Return the user with this e-mail and password; None if there is none, or the account is disabled."""
    user = next((user for user in USERS.values() if user.email == email), None)
    return user if user and user.has_password(password) and not user.is_disabled else None


def issue_tokens(user: User, **claims: str) -> dict[str, str]:
    """Return an access token and a refresh token. Those of one user within one second are byte-identical."""
    now = int(time.time())
    who = {"id": user.id, "email": user.email, **claims}
    return {
        "access_token": jwt.encode({**who, "exp": now + ACCESS_SECONDS}, ACCESS_SECRET, algorithm="HS256"),
        "refresh_token": jwt.encode({**who, "exp": now + REFRESH_SECONDS}, REFRESH_SECRET, algorithm="HS256"),
        "token_type": "bearer",
    }


def read_token(token: str, secret: str) -> tuple[User, dict[str, str]] | None:
    """Return the token's user, and the further claims from the sign-in (`sid`); None if the token is not valid."""
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["exp", "id"]})
    except jwt.InvalidTokenError:
        return None
    user = USERS.get(claims["id"])
    return (user, {"sid": claims["sid"]} if "sid" in claims else {}) if user and not user.is_disabled else None


def bearer_of(authorization: str) -> str:
    """Return the token of an Authorization header; an empty text if there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Credentials(BaseModel):
    """The credentials of a sign-in."""

    email: str
    password: str


class Refresh(BaseModel):
    """The refresh token that an app sends when its access token has expired."""

    refresh_token: str


app = FastAPI()


def require_caller(authorization: Annotated[str, Header()] = "") -> User:
    found = read_token(bearer_of(authorization), ACCESS_SECRET)
    if found is None:
        raise HTTPException(401, "Sign in again", {"WWW-Authenticate": "Bearer"})
    return found[0]


Caller = Annotated[User, Depends(require_caller)]


@app.post("/auth/login")
def login(given: Credentials) -> dict[str, str]:
    user = sign_in(given.email, given.password)
    if user is None:
        raise HTTPException(401, "E-mail or password is wrong")
    return issue_tokens(user)


@app.post("/auth/refresh")
def refresh(given: Refresh) -> dict[str, str]:
    found = read_token(given.refresh_token, REFRESH_SECRET)
    if found is None:
        raise HTTPException(401, "Sign in again")
    return issue_tokens(found[0])


@app.get("/user/me")
def me(caller: Caller) -> dict[str, object]:
    return {"id": caller.id, "email": caller.email, "role": caller.role}


@app.get("/user/id/{user_id}")
def somebody(user_id: int, caller: Caller) -> dict[str, object]:
    if caller.role != "admin":
        raise HTTPException(403, "Only admins can view other users")
    if user_id not in USERS:
        raise HTTPException(404, "User not found")
    return {"id": user_id, "email": USERS[user_id].email, "role": USERS[user_id].role}
