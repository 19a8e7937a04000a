"""A person with a past, for tests of what is kept of people."""

from typing import Any

from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from tests.harness.support import ANDROID, CHROME, FIREFOX, IPHONE, make_token, sign_in_with

ADDRESS, NEIGHBOUR, ELSEWHERE = "203.0.113.7", "203.0.113.200", "203.0.114.7"
ADDRESS_V6, NEIGHBOUR_V6 = "2001:db8:1:2:3:4:5:6", "2001:db8:1:ffff::9"
PERSON = 987_654_321


def lead_a_life(app: Flask) -> int:
    """Let a user sign in and out, be thrown out, and end somebody else's session; return that one's id."""
    sign_in = sign_in_with(app.test_client())
    others = [sign_in(user_id, address=NEIGHBOUR, role="admin") for user_id in (75, 76)]
    devices = [
        sign_in(PERSON, user_agent=agent, address=ADDRESS, sid=None, role="admin", body={"device_fingerprint": "f-i-n"})
        for agent in (CHROME, IPHONE, FIREFOX, ANDROID)
    ]
    refreshed = make_token(PERSON, refreshed=1)
    headers = {"Authorization": f"Bearer {refreshed}", "User-Agent": FIREFOX}
    here: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": ADDRESS}}
    assert app.test_client().get("/sessions/validate", headers=headers, **here).status_code == 200
    assert others[1].delete(f"/sessions/session/{devices[1].id}").status_code == 200
    assert devices[2].delete(f"/sessions/session/{others[0].id}").status_code == 200
    assert devices[3].delete("/sessions/logout").status_code == 200
    return others[0].id


def dump(app: Flask) -> str:
    """Return all that is in the database, as text."""
    with app.app_context(), db.engine.connect() as connection:
        tables = db.inspect(connection).get_table_names()
        rows = [str(row) for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(rows)
