"""Create a table of one row for `/metrics`: the purge's totals, and when it was last completed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    totals = op.create_table(
        "purge_totals",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("forgotten", sa.BigInteger(), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_purge_totals"),
    )
    op.bulk_insert(totals, [{"id": 1, "runs": 0, "recorded": 0, "removed": 0, "forgotten": 0}])


def downgrade() -> None:
    op.drop_table("purge_totals")
