"""Rows of sessions, written without a sign-in, and tables that are missing for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import Flask
from sqlalchemy import Table, insert, text

from session_service.database.engine import db
from session_service.database.models import UserSession
from session_service.database.transaction import execute
from session_service.records import StoredSession

_sessions = cast(Table, UserSession.__table__)


def insert_row(**columns: object) -> StoredSession:
    """Add a session within the current transaction; it has no event."""
    written = [_sessions.c[name] for name in StoredSession._fields]
    return StoredSession._make(execute(insert(_sessions).values(columns).returning(*written)).one())


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
