"""Create three tables: sessions, their tokens, and one row for each user, which sign-ins lock."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", _ID, sa.Identity(), nullable=False),
        sa.Column("sid", sa.String(255)),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("device_fingerprint", sa.String(255)),
        sa.Column("device_key", sa.String(255), nullable=False),
        sa.Column("device_name", sa.String(255), nullable=False),
        sa.Column("device_type", sa.String(16), nullable=False),
        sa.Column("browser", sa.String(255), nullable=False),
        sa.Column("os", sa.String(255)),
        sa.Column("user_agent", sa.String(512)),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("ip_source", sa.String(8), nullable=False),
        sa.Column("network", sa.String(49)),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("last_activity", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("end_reason", sa.String(16)),
        sa.Column("ended_by", sa.String(263)),
        sa.Column("successor_id", _ID),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 85},
    )
    is_open, ended = sa.text("ended_at IS NULL"), sa.text("ended_at IS NOT NULL")
    op.create_index("ix_sessions_open", "sessions", ["user_id", "id"], postgresql_where=is_open, sqlite_where=is_open)
    op.create_index("ix_sessions_ended", "sessions", ["ended_at"], postgresql_where=ended, sqlite_where=ended)
    op.create_index("ix_sessions_user_id_id", "sessions", ["user_id", "id"])
    op.create_table(
        "session_tokens",
        sa.Column("token_key", sa.LargeBinary(32), nullable=False),
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("is_opener", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_tokens_session_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_key", "session_id", name="pk_session_tokens"),
    )
    op.create_index("ix_session_tokens_session_id", "session_tokens", ["session_id"])
    op.create_index("ix_session_tokens_expires_at", "session_tokens", ["expires_at"])
    op.create_table(
        "session_owners",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_session_owners"),
    )


def downgrade() -> None:
    op.drop_table("session_owners")
    op.drop_table("session_tokens")
    op.drop_table("sessions")
