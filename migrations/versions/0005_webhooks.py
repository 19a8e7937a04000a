"""Add how far each webhook endpoint has been sent the events, and the events that it did not take."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", INSTANT),
        sa.Column("last_error", sa.String(255)),
        sa.Column("last_error_at", INSTANT),
        sa.Column("leased_by", sa.String(64)),
        sa.Column("leased_until", INSTANT),
        sa.Column("delivered_total", sa.BigInteger(), nullable=False),
        sa.Column("failed_total", sa.BigInteger(), nullable=False),
        sa.Column("parked_total", sa.BigInteger(), nullable=False),
        sa.Column("missed_total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_webhook_endpoints"),
    )
    op.create_table(
        "parked_deliveries",
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("endpoint", sa.String(40), nullable=False),
        sa.Column("parked_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(255), nullable=False),
        sa.Column("is_due", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["session_events.id"],
            name="fk_parked_deliveries_event_id_session_events",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["endpoint"],
            ["webhook_endpoints.name"],
            name="fk_parked_deliveries_endpoint_webhook_endpoints",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "endpoint", name="pk_parked_deliveries"),
    )


def downgrade() -> None:
    op.drop_table("parked_deliveries")
    op.drop_table("webhook_endpoints")
