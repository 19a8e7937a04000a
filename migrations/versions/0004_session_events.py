"""Add the events of sessions' lives, and the position up to which the purge has deleted them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "session_events",
        sa.Column("id", BIG, sa.Identity(), nullable=False),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(8), nullable=False),
        sa.Column("session_id", BIG, nullable=False),
        sa.Column("user_id", sa.String(255)),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("initiated_by", sa.String(263)),
        sa.Column("successor_id", BIG),
        sa.Column("because", sa.String(16)),
        sa.Column("device_name", sa.String(255)),
        sa.Column("is_new_device", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name="pk_session_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_session_events_session_id_what", "session_events", ["session_id", "what"], unique=True)
    op.create_index("ix_session_events_xact_id", "session_events", ["xact", "id"])
    op.create_index("ix_session_events_reason_at", "session_events", ["reason", "at"])
    position = op.create_table(
        "purged_events",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_purged_events"),
    )
    op.bulk_insert(position, [{"id": 1, "xact": 0, "event_id": 0}])


def downgrade() -> None:
    op.drop_table("purged_events")
    op.drop_table("session_events")
