"""`auth_server.py` after steps 1 to 4 of `docs/integration.md`, with two routes that need a session, in FastAPI.

    SESSION_SERVICE_URL=http://127.0.0.1:8080 SESSION_SERVICE_CREDENTIALS=backend:… \\
    CORS_ALLOWED_ORIGINS=https://app.example.com \\
    JWT_SECRET_KEY=… REFRESH_SECRET_KEY=… DEMO_PASSWORD=… \\
    uvicorn --no-proxy-headers --no-access-log examples.fastapi_backend:app

Without --no-proxy-headers, uvicorn takes the peer's address from X-Forwarded-For, which the caller can set. Its access
log would contain query strings, and old frontends put tokens there.
"""

import os
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel
from session_client import READABLE
from session_client.fastapi import ActiveSession, Sessions

from examples import accounts
from examples.auth_server import Credentials, Refresh

app = FastAPI()
sessions = Sessions.from_environment()
sessions.add_to(app)
CurrentSession = Annotated[ActiveSession, Depends(sessions.required)]
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ.get("CORS_ALLOWED_ORIGINS", "").split(","),
    allow_methods=["GET", "POST", "DELETE"],
    allow_headers=["Authorization", "Content-Type"],
    expose_headers=READABLE,
)


class SignIn(Credentials):
    """The body of a sign-in; `device` has the fields of `POST /sessions/create`."""

    device: dict[str, str | None] | None = None


class NewPassword(BaseModel):
    """The body of a change of password."""

    password: str
    new_password: str


# Steps 1 and 3: the sign-in and the refresh


@app.post("/auth/login")
async def login(given: SignIn, request: Request) -> dict[str, str]:
    """Return tokens only if the service created a session; all tokens of one sign-in have the same `sid`."""
    user = await run_in_threadpool(accounts.sign_in, given.email, given.password)
    if user is None:
        raise HTTPException(401, "E-mail or password is wrong")
    tokens = accounts.issue_tokens(user, sid=uuid4().hex)
    await sessions.create(request, tokens["access_token"], given.device)
    return tokens


@app.post("/auth/refresh")
async def refresh(given: Refresh, request: Request) -> dict[str, str]:
    """Make the new tokens, and return them only if the session is active."""
    found = accounts.read_token(given.refresh_token, accounts.REFRESH_SECRET)
    if found is None:
        raise HTTPException(401, "Sign in again")
    user, kept = found
    tokens = accounts.issue_tokens(user, **kept)
    await sessions.check(request, tokens["access_token"])
    return tokens


# Step 2: validate on every request


@app.get("/grades")
async def grades(session: CurrentSession) -> ActiveSession:
    return session


@app.get("/timetable")
async def timetable(session: Annotated[ActiveSession, Depends(sessions.required_or_remembered)]) -> ActiveSession:
    """Accept, during an outage, callers whose session was active before: only for data that these may still read."""
    return session


# Step 4: a changed password or a disabled account ends sessions


@app.post("/auth/password")
async def change_password(given: NewPassword, session: CurrentSession) -> dict[str, bool]:
    """Change the password first, so that a sign-in with the old one is impossible once the sessions have ended.

    It can be repeated after a 503; it therefore accepts the new password, too.
    """
    user = accounts.USERS[int(session.user_id)]
    if not await run_in_threadpool(lambda: any(map(user.has_password, (given.password, given.new_password)))):
        raise HTTPException(403, "The password is wrong")
    await run_in_threadpool(user.set_password, given.new_password)
    await sessions.client.end_user(user.id, because="password_changed")
    return {"success": True}


@app.post("/admin/disable/{user_id}")
async def disable(user_id: int, session: CurrentSession) -> dict[str, bool]:
    """Disable an account and end its sessions. After a 503 it must be repeated."""
    if accounts.USERS[int(session.user_id)].role != "admin":
        raise HTTPException(403, "Only admins can disable accounts")
    if user_id not in accounts.USERS:
        raise HTTPException(404, "User not found")
    accounts.USERS[user_id].is_disabled = True
    await sessions.client.end_user(user_id, because="account_disabled")
    return {"success": True}
