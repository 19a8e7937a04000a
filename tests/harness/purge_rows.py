"""Rows for tests of the purge, with instants of the test's own."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text

from session_service.database import session_queries
from session_service.database.models import SessionToken
from session_service.database.transaction import execute, transaction
from session_service.records import StoredSession, Token
from tests.harness.rows import insert_row

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def token(number: int, expires_at: datetime = NOON + 365 * DAY) -> Token:
    return Token("74", None, number.to_bytes(32, "big"), 0, expires_at, is_admin=False)


def remember(one: Token, session_id: int) -> None:
    """Put a token on record for a session that may have ended by now."""
    values = {"token_key": one.key, "session_id": session_id, "expires_at": one.expires_at, "is_opener": True}
    execute(insert(SessionToken), values)


def put(number: int, **columns: object) -> int:
    """Put a session on record, with a token of its own; return its id."""
    values = {
        "user_id": "74",
        "device_key": "",
        "device_name": "Chrome on Linux",
        "device_type": "web",
        "browser": "Chrome",
        "ip_source": "observed",
        "created_at": NOON,
        "last_activity": NOON,
        "expires_at": NOON + 30 * DAY,
    }
    with transaction(writes=True):
        session = insert_row(**{**values, **columns})
        remember(token(number), session.id)
    return session.id


def left() -> dict[int, StoredSession]:
    """Return what is on record."""
    with transaction():
        ids = execute(text("SELECT id FROM sessions ORDER BY id")).scalars().all()
        rows = [session_queries.get(one) for one in ids]
    return {row.id: row for row in rows if row}
