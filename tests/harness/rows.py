"""Rows of sessions, written without a sign-in."""

from typing import cast

from sqlalchemy import Table, insert

from session_service.database.models import UserSession
from session_service.database.transaction import execute
from session_service.records import StoredSession

_sessions = cast(Table, UserSession.__table__)


def insert_row(**columns: object) -> StoredSession:
    """Add a session within the current transaction; it has no event."""
    written = [_sessions.c[name] for name in StoredSession._fields]
    return StoredSession._make(execute(insert(_sessions).values(columns).returning(*written)).one())
