"""A bare Flask view: what the framework and gunicorn cost before anything is done. Its answer is `validate`'s."""

from flask import Flask

app = Flask(__name__, static_folder=None)


@app.get("/sessions/validate")
def validate() -> dict[str, object]:
    """Say yes to anybody."""
    return {"active": True, "session_id": 1, "user_id": 74, "expires_at": "2026-12-21T19:02:12.033962Z"}
