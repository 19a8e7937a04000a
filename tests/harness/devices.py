"""Devices that call an application without having signed in, and what is on record of sessions."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from session_service.database import session_queries
from session_service.database.engine import db
from session_service.database.transaction import transaction
from session_service.records import StoredSession
from tests.harness.support import CHROME, SignedIn, make_token

HOME, OFFICE = "203.0.113.7", "198.51.100.9"


def device(
    client: FlaskClient,
    token: str | None = None,
    *,
    user_agent: str | None = CHROME,
    address: str = HOME,
    **headers: str,
) -> SignedIn:
    """Return a device that has not signed in: a token and what it sends."""
    agent = {"User-Agent": user_agent} if user_agent else {}
    return SignedIn(client, {"Authorization": f"Bearer {token or make_token()}", **agent, **headers}, address, {})


def rows(app: Flask) -> list[Any]:
    with app.app_context():
        return list(db.session.execute(text("SELECT id, end_reason, successor_id FROM sessions ORDER BY id")))


def count(app: Flask, table: str) -> int:
    with app.app_context():
        return int(db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def row(app: Flask, session_id: int) -> StoredSession:
    """Return a session as it is on record."""
    with app.app_context(), transaction():
        found = session_queries.get(session_id)
    assert found is not None
    return found


def ids(device: SignedIn, path: str = "/sessions/my-sessions") -> list[int]:
    response = device.get(path)
    assert response.status_code == 200, response.json
    return [session["id"] for session in response.json]
