"""Rows of sessions, their tokens and events, written without a sign-in, and tables that are missing for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import Flask
from sqlalchemy import Table, insert, text

from session_service.database.engine import db
from session_service.database.event_statements import current_xact
from session_service.database.models import SessionEventRow, SessionToken, UserSession
from session_service.database.transaction import connection, execute
from session_service.records import StoredSession, Token

_sessions = cast(Table, UserSession.__table__)
_tokens = cast(Table, SessionToken.__table__)
_events = cast(Table, SessionEventRow.__table__)


def insert_row(**columns: object) -> StoredSession:
    """Add a session within the current transaction; it has no event."""
    written = [_sessions.c[name] for name in StoredSession._fields]
    return StoredSession._make(execute(insert(_sessions).values(columns).returning(*written)).one())


def insert_token(token: Token, session_id: int, *, is_opener: bool) -> None:
    """Remember within the current transaction that *token* belongs to a session, or created it."""
    values = {"token_key": token.key, "session_id": session_id, "expires_at": token.expires_at, "is_opener": is_opener}
    execute(insert(_tokens).values(values))


def insert_created_event(session: StoredSession) -> None:
    """Add the event of a sign-in within the current transaction."""
    values = {
        "xact": current_xact(connection()),
        "what": "created",
        "session_id": session.id,
        "user_id": session.user_id,
        "at": session.created_at,
        "recorded_at": session.created_at,
        "reason": "sign_in",
        "initiated_by": session.user_id,
        "device_name": session.device_name,
        "is_new_device": False,
    }
    execute(insert(_events).values(values))


@contextmanager
def missing_table(app: Flask, name: str) -> Iterator[None]:
    """Keep a table of *app*'s database under another name for a block."""
    _rename(app, name, "elsewhere")
    try:
        yield
    finally:
        _rename(app, "elsewhere", name)


def _rename(app: Flask, old: str, new: str) -> None:
    with app.app_context():
        db.session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        db.session.commit()
