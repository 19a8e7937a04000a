"""`auth_server.py` after steps 1 to 4 of `docs/integration.md`, with two routes that need a session, in FastAPI.

    SESSION_SERVICE_URL=http://127.0.0.1:8080 SESSION_SERVICE_CREDENTIALS=… \\
    CORS_ALLOWED_ORIGINS=https://app.example.com \\
    JWT_SECRET_KEY=… REFRESH_SECRET_KEY=… DEMO_PASSWORD=… \\
    uvicorn --no-proxy-headers --no-access-log examples.fastapi_backend:app

Without --no-proxy-headers, uvicorn takes the peer's address from X-Forwarded-For, which the caller can set. Its access
log would contain query strings, and old frontends put tokens there.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel

from examples import accounts
from examples import fastapi_sessions as sessions
from examples.auth_server import Credentials, Refresh
from examples.fastapi_sessions import CurrentSession, Refused, Session, Unavailable


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with sessions.http:
        yield


app = FastAPI(lifespan=lifespan)
sessions.add_sessions(app)
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ.get("CORS_ALLOWED_ORIGINS", "").split(","),
    allow_methods=["GET", "POST", "DELETE"],
    allow_headers=["Authorization", "Content-Type"],
    expose_headers=sessions.READABLE,
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
    who = sessions.caller_headers(request, tokens["access_token"])
    answer = await sessions.call("POST", "/sessions/create", headers=who, json=given.device or {})
    if answer.status_code != 201:
        raise Refused(answer)
    return tokens


@app.post("/auth/refresh")
async def refresh(given: Refresh, request: Request) -> dict[str, str]:
    """Make the new tokens, and return them only if the session is active."""
    found = accounts.read_token(given.refresh_token, accounts.REFRESH_SECRET)
    if found is None:
        raise HTTPException(401, "Sign in again")
    user, kept = found
    tokens = accounts.issue_tokens(user, **kept)
    await sessions.ask(request, tokens["access_token"])
    return tokens


# Step 2: validate on every request


async def session_or_outage(request: Request) -> Session:
    """Accept the token alone while the service is unavailable: only for data that an ended session may still read."""
    try:
        return await sessions.ask(request)
    except Unavailable:
        found = accounts.read_token(
            accounts.bearer_of(request.headers.get("Authorization", "")), accounts.ACCESS_SECRET
        )
        if found is None:
            raise
        return Session(found[0].id, None)


@app.get("/grades")
async def grades(session: CurrentSession) -> dict[str, object]:
    return {"user_id": session.user_id, "session_id": session.id}


@app.get("/timetable")
async def timetable(session: Annotated[Session, Depends(session_or_outage)]) -> dict[str, object]:
    return {"user_id": session.user_id, "session_id": session.id}


# Step 4: a changed password or a disabled account ends sessions


@app.post("/auth/password")
async def change_password(given: NewPassword, session: CurrentSession) -> dict[str, bool]:
    """Change the password first, so that a sign-in with the old one is impossible once the sessions have ended.

    It can be repeated after a 503; it therefore accepts the new password, too.
    """
    user = accounts.USERS[session.user_id]
    if not await run_in_threadpool(lambda: any(map(user.has_password, (given.password, given.new_password)))):
        raise HTTPException(403, "The password is wrong")
    await run_in_threadpool(user.set_password, given.new_password)
    await sessions.end_sessions(user.id)
    return {"success": True}


@app.post("/admin/disable/{user_id}")
async def disable(user_id: int, session: CurrentSession) -> dict[str, bool]:
    """Disable an account and end its sessions. After a 503 it must be repeated."""
    if accounts.USERS[session.user_id].role != "admin":
        raise HTTPException(403, "Only admins can disable accounts")
    if user_id not in accounts.USERS:
        raise HTTPException(404, "User not found")
    accounts.USERS[user_id].is_disabled = True
    await sessions.end_sessions(user_id)
    return {"success": True}
