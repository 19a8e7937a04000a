import os
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI, HTTPException, Request

from examples import accounts  # in your backend: your own accounts and tokens

app = FastAPI()
service = httpx.Client(base_url=os.environ.get("SESSION_SERVICE_URL", "http://127.0.0.1:8080"), timeout=4)


def call_service(method: str, path: str, request: Request, token: str | None = None) -> Any:
    authorization = f"Bearer {token}" if token else request.headers.get("Authorization", "")
    device, address = request.headers.get("User-Agent", ""), request.client.host if request.client else ""
    headers = {"Authorization": authorization, "User-Agent": device, "X-Forwarded-For": address}
    answer = service.request(method, path, headers=headers)
    if answer.status_code >= 400:  # 401: the session has ended; 409, 429: no session now; 503: try again
        raise HTTPException(answer.status_code, answer.json())
    return answer.json()


@app.post("/auth/login")
def login(given: dict[str, str], request: Request) -> dict[str, str]:
    user = accounts.sign_in(given["email"], given["password"])
    if user is None:
        raise HTTPException(401)
    tokens = accounts.issue_tokens(user, sid=uuid4().hex)  # new: the sid
    call_service("POST", "/sessions/create", request, tokens["access_token"])  # new: the session
    return tokens


@app.get("/grades")
def grades(request: Request) -> Any:
    return call_service("GET", "/sessions/validate", request)  # new: the check


@app.post("/auth/logout")
def logout(request: Request) -> Any:
    return call_service("DELETE", "/sessions/logout", request)  # new: the end
