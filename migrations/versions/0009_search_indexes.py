"""Add indexes for a search by network and by creation, and the id to the index on ends.

On PostgreSQL they are built beside live traffic, which is not possible within a transaction. What such a build leaves
when it is interrupted is an invalid index, so each one is dropped first: run the migration again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

from session_service.database.connections import LONG, WRITES

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE = "sessions"
_ENDED = sa.text("ended_at IS NOT NULL")
_OF_ENDED = {"postgresql_where": _ENDED, "sqlite_where": _ENDED}
NEW: dict[str, tuple[list[str], dict[str, Any]]] = {
    "ix_sessions_network_id": (["network", "id"], {}),
    "ix_sessions_created_at_id": (["created_at", "id"], {}),
    "ix_sessions_ended_at_id": (["ended_at", "id"], _OF_ENDED),
}
OLD: dict[str, tuple[list[str], dict[str, Any]]] = {"ix_sessions_ended": (["ended_at"], _OF_ENDED)}


def upgrade() -> None:
    _replace(OLD, NEW)


def downgrade() -> None:
    _replace(NEW, OLD)


def _replace(
    old: dict[str, tuple[list[str], dict[str, Any]]], new: dict[str, tuple[list[str], dict[str, Any]]]
) -> None:
    """Build the new indexes before the old ones are dropped: the purge always has one on ends."""
    with _beside_live_traffic() as how:
        for name, (columns, more) in new.items():
            op.drop_index(name, TABLE, if_exists=True, **how)
            op.create_index(name, TABLE, columns, **more, **how)
        for name in old:
            op.drop_index(name, TABLE, if_exists=True, **how)


@contextmanager
def _beside_live_traffic() -> Iterator[dict[str, Any]]:
    """Leave the transaction on PostgreSQL; give the arguments of an index that is built without a lock on writes.

    What this command has done before is committed. SQLite has one writer at a time, and needs nothing.
    """
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        yield {}
        return
    # Without these options the connection sends no BEGIN.
    connection.execution_options(**{WRITES: False, LONG: False})
    with op.get_context().autocommit_block():
        # A build waits for transactions that began before it; nothing waits for the build.
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql("SET lock_timeout = 0")
        try:
            yield {"postgresql_concurrently": True}
        finally:
            connection.exec_driver_sql("RESET statement_timeout")
            connection.exec_driver_sql("RESET lock_timeout")
            connection.execution_options(**{WRITES: True, LONG: True})
