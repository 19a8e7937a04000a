"""Have PostgreSQL vacuum the tables that churn when a twentieth of their rows is dead, not a fifth."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = ("sessions", "session_tokens", "session_events")
FACTORS = ("autovacuum_vacuum_scale_factor", "autovacuum_analyze_scale_factor")


def upgrade() -> None:
    _alter("SET ({})".format(", ".join(f"{name} = 0.05" for name in FACTORS)))


def downgrade() -> None:
    _alter("RESET ({})".format(", ".join(FACTORS)))


def _alter(change: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} {change}")
