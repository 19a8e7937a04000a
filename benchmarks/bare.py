"""A bare Flask view: the cost of the framework and gunicorn alone. It returns the answer of `validate`."""

from flask import Flask

app = Flask(__name__, static_folder=None)


@app.get("/sessions/validate")
def validate() -> dict[str, object]:
    """Return the same answer to every caller."""
    return {"active": True, "session_id": 1, "user_id": 74, "expires_at": "2026-12-21T19:02:12.033962Z"}
