"""Active sessions of many users, ends by criteria of them, and the events of their ends."""

from collections import Counter
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from session_service.database.transaction import execute, transaction
from tests.harness.purge_rows import DAY, NOON
from tests.harness.rows import insert_row
from tests.harness.support import make_token

ADMIN = {"Authorization": f"Bearer {make_token(1, role='admin')}"}
HERE: dict[str, Any] = {"address": "203.0.113.7"}


def end(client: FlaskClient, query: str = "", *, headers: dict[str, str] = ADMIN, **given: Any) -> TestResponse:
    return client.post(f"/sessions/end{query}", json=given, headers=headers)


def put_active(number: int, **columns: object) -> list[int]:
    """Put active sessions on record, of a user each; return their ids."""
    values = {"device_key": "", "device_name": "x", "device_type": "web", "browser": "x", "ip_source": "observed"}
    times = {"created_at": NOON, "last_activity": NOON, "expires_at": NOON + 30 * DAY}
    ids = []
    with transaction(writes=True):
        for user_id in range(1_000, 1_000 + number):
            execute(text("INSERT INTO session_owners VALUES (:user_id)"), {"user_id": str(user_id)})
            row = insert_row(**{**values, **times, "user_id": str(user_id), "network": "203.0.113.7/32", **columns})
            ids.append(row.id)
    return ids


def events() -> Counter[tuple[int, str]]:
    with transaction():
        return Counter(
            (row.session_id, row.reason)
            for row in execute(text("SELECT session_id, reason FROM session_events WHERE what = 'ended'"))
        )
