"""A Flask backend."""

from typing import Any

from flask import Flask, jsonify
from session_client.flask import Sessions

from tests.harness.backends.wall_clock import set_apart

set_apart()
app = Flask(__name__)
sessions = Sessions.from_environment()
sessions.init_app(app)


@app.get("/who")
@sessions.required
def who() -> Any:
    """Answer who calls."""
    return jsonify(user_id=sessions.current.user_id, session_id=sessions.current.session_id)


@app.get("/who-in-an-outage")
@sessions.required_or_remembered
def who_in_an_outage() -> Any:
    """Answer the same, while the service does not answer, too."""
    return jsonify(user_id=sessions.current.user_id, session_id=sessions.current.session_id)


@app.get("/is-remembering")
def is_remembering() -> Any:
    """Answer whether this process holds the lease."""
    return jsonify(sessions.client.is_remembering)
