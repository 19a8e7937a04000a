"""Add the cause of an end and the counts of ends by commands; rename the purge's totals by what they count."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

RENAMED = {"recorded": "ends", "removed": "sessions", "forgotten": "tokens"}


def upgrade() -> None:
    op.add_column("sessions", sa.Column("because", sa.String(16)))
    op.create_table(
        "command_ends",
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reason", name="pk_command_ends"),
    )
    _rename_columns(RENAMED)


def downgrade() -> None:
    _rename_columns({new: old for old, new in RENAMED.items()})
    op.drop_table("command_ends")
    op.drop_column("sessions", "because")


def _rename_columns(names: dict[str, str]) -> None:
    for old, new in names.items():
        op.execute(f"ALTER TABLE purge_totals RENAME COLUMN {old} TO {new}")
