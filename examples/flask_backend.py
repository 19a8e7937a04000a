"""`auth_server.py` after steps 1 to 4 of `docs/integration.md`, with two routes that need a session, in Flask.

    SESSION_SERVICE_URL=http://127.0.0.1:8080 SESSION_SERVICE_CREDENTIALS=backend:… \\
    CORS_ALLOWED_ORIGINS=https://app.example.com \\
    JWT_SECRET_KEY=… REFRESH_SECRET_KEY=… DEMO_PASSWORD=… gunicorn --threads 8 examples.flask_backend:app
"""

import json
import os
from typing import Any
from uuid import uuid4

from flask import Flask, abort, request
from flask_cors import CORS
from session_client import READABLE
from session_client.flask import Sessions
from werkzeug.exceptions import HTTPException

from examples import accounts

app = Flask(__name__)
sessions = Sessions.from_environment()
sessions.init_app(app)
CORS(
    app,
    origins=os.environ.get("CORS_ALLOWED_ORIGINS", "").split(","),
    methods=["GET", "POST", "DELETE"],
    allow_headers=["Authorization", "Content-Type"],
    expose_headers=READABLE,
)


@app.errorhandler(HTTPException)
def answer_error(error: HTTPException) -> Any:
    """Put the message into `detail`, where the frontend reads it; FastAPI does the same."""
    answer = error.get_response()
    answer.set_data(json.dumps({"detail": error.description}))
    answer.content_type = "application/json"
    return answer


def given(*names: str) -> list[str]:
    """Return text fields of the request's body, or answer 400."""
    body = request.get_json()
    values = [body.get(name) if isinstance(body, dict) else None for name in names]
    return [value if isinstance(value, str) else abort(400) for value in values]


# Steps 1 and 3: the sign-in and the refresh


@app.post("/auth/login")
def login() -> dict[str, str]:
    """Return tokens only if the service created a session; all tokens of one sign-in have the same `sid`."""
    email, password = given("email", "password")
    user = accounts.sign_in(email, password)
    if user is None:
        abort(401, "E-mail or password is wrong")
    tokens = accounts.issue_tokens(user, sid=uuid4().hex)
    sessions.create(tokens["access_token"], request.get_json().get("device"))
    return tokens


@app.post("/auth/refresh")
def refresh() -> dict[str, str]:
    """Make the new tokens, and return them only if the session is active."""
    (token,) = given("refresh_token")
    found = accounts.read_token(token, accounts.REFRESH_SECRET)
    if found is None:
        abort(401, "Sign in again")
    user, kept = found
    tokens = accounts.issue_tokens(user, **kept)
    sessions.check(tokens["access_token"])
    return tokens


# Step 2: validate on every request


@app.get("/grades")
@sessions.required
def grades() -> dict[str, object]:
    return {"user_id": sessions.current.user_id, "session_id": sessions.current.session_id}


@app.get("/timetable")
@sessions.required_or_remembered
def timetable() -> dict[str, object]:
    """Accept, during an outage, callers whose session was active before: only for data that these may still read."""
    return {"user_id": sessions.current.user_id, "session_id": sessions.current.session_id}


# Step 4: a changed password or a disabled account ends sessions


@app.post("/auth/password")
@sessions.required
def change_password() -> dict[str, bool]:
    """Change the password first, so that a sign-in with the old one is impossible once the sessions have ended.

    It can be repeated after a 503; it therefore accepts the new password, too.
    """
    user = accounts.USERS[int(sessions.current.user_id)]
    old, new = given("password", "new_password")
    if not any(map(user.has_password, (old, new))):
        abort(403, "The password is wrong")
    user.set_password(new)
    sessions.client.end_user(user.id, because="password_changed")
    return {"success": True}


@app.post("/admin/disable/<int:user_id>")
@sessions.required
def disable(user_id: int) -> dict[str, bool]:
    """Disable an account and end its sessions. After a 503 it must be repeated."""
    if accounts.USERS[int(sessions.current.user_id)].role != "admin":
        abort(403, "Only admins can disable accounts")
    if user_id not in accounts.USERS:
        abort(404, "User not found")
    accounts.USERS[user_id].is_disabled = True
    sessions.client.end_user(user_id, because="account_disabled")
    return {"success": True}
