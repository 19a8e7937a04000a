"""A small auth server before the integration: it issues tokens and does not use the session service.

`docs/integration.md` starts from it. `fastapi_backend.py` and `flask_backend.py` are the same server afterwards.

    JWT_SECRET_KEY=… REFRESH_SECRET_KEY=… DEMO_PASSWORD=… uvicorn examples.auth_server:app
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

from examples.accounts import ACCESS_SECRET, REFRESH_SECRET, USERS, User, bearer_of, issue_tokens, read_token, sign_in


class Credentials(BaseModel):
    """The body of a sign-in."""

    email: str
    password: str


class Refresh(BaseModel):
    """The body of a refresh."""

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
