"""What readiness asks the database, as functions that run within a `transaction`."""

from datetime import datetime

from sqlalchemy import inspect

from session_service.database import statements
from session_service.database.models import VERSION_TABLE
from session_service.database.transaction import connection, run_prepared


def has_token_beyond(instant: datetime) -> bool:
    """Return whether any known token expires after *instant*."""
    return run_prepared(statements.ANY_TOKEN_BEYOND, {"instant": instant}).fetchone() is not None


def schema_revision() -> str | None:
    """Return the migration that the database is at; None without our tables."""
    if not inspect(connection()).has_table(VERSION_TABLE):
        return None
    row = run_prepared(statements.SCHEMA_REVISION, {}).fetchone()
    return str(row[0]) if row else None
