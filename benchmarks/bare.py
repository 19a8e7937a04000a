"""What nothing can be cheaper than: `validate`'s answer behind gunicorn, without any work for it.

`app` is a Flask view, the cost of the framework and gunicorn alone. `wsgi` is a callable without a framework.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

ANSWER = {
    "active": True,
    "session_id": 1,
    "user_id": 74,
    "expires_at": "2026-12-21T19:02:12.033962Z",
    "idle_expires_at": "2026-11-28T19:02:12.033962Z",
}
BODY = json.dumps(ANSWER, separators=(",", ":")).encode() + b"\n"

app = Flask(__name__, static_folder=None)


@app.get("/sessions/validate")
def validate() -> dict[str, object]:
    """Return the same answer to every caller."""
    return ANSWER


def wsgi(_environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    """Return the same answer to every request (PEP 3333)."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
    return [BODY]
