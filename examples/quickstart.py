from typing import Annotated
from uuid import uuid4

from fastapi import Depends, FastAPI, HTTPException, Request
from session_client.fastapi import ActiveSession, Sessions

from examples import accounts  # in your backend: your own accounts and tokens

app = FastAPI()
sessions = Sessions.from_environment()  # new: the client
sessions.add_to(app)  # new: /sessions/* and the answers to callers without a session


@app.post("/auth/login")
async def login(given: dict[str, str], request: Request) -> dict[str, str]:
    user = accounts.sign_in(given["email"], given["password"])
    if user is None:
        raise HTTPException(401)
    tokens = accounts.issue_tokens(user, sid=uuid4().hex)  # new: the sid
    await sessions.create(request, tokens["access_token"])  # new: the session
    return tokens


@app.get("/grades")
async def grades(session: Annotated[ActiveSession, Depends(sessions.required)]) -> ActiveSession:  # new: the check
    return session
