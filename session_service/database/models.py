"""The five tables. No queries: those are in `store`; made only by the migrations, never by `create_all`."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Integer, LargeBinary, MetaData, String, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from session_service.records import Because, EndReason, IpSource

SCHEMA_REVISION = "0003"
"""The migration that this code needs at least; `/readyz` compares, a newer schema is fine."""


VERSION_TABLE = "session_service_version"
"""Where the migrations note how far they are; not Alembic's default name, which another service may use."""


OPEN, ENDED = text("ended_at IS NULL"), text("ended_at IS NOT NULL")


class Base(DeclarativeBase):
    """The models' base; every constraint has a name, so that every migration can be undone."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, timezone-aware in Python on both databases; SQLite has no type for it and stores UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values: nobody can tell which instant they mean."""
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back UTC, whatever time zone the connection uses."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class UserSession(Base):
    """One signed-in device of one user; a row ends once, and is deleted by the purge or with its user."""

    __tablename__ = "sessions"
    __table_args__ = (
        # No index holds last_activity, so that writing it stays a heap-only update on PostgreSQL.
        Index("ix_sessions_open", "user_id", "id", postgresql_where=OPEN, sqlite_where=OPEN),
        Index("ix_sessions_ended", "ended_at", postgresql_where=ENDED, sqlite_where=ENDED),
        Index(None, "user_id", "id"),
        {"sqlite_autoincrement": True, "postgresql_with": {"fillfactor": 85}},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)
    """Never used twice, and gives the order of creation."""
    sid: Mapped[str | None] = mapped_column(String(255))
    """The auth server's own session id, null without one."""
    user_id: Mapped[str] = mapped_column(String(255))
    device_fingerprint: Mapped[str | None] = mapped_column(String(255))
    """As the client gave it: not an identity, many browsers send the same."""
    device_key: Mapped[str] = mapped_column(String(255))
    """Browser family, system family and model, without versions."""
    device_name: Mapped[str] = mapped_column(String(255))
    device_type: Mapped[str] = mapped_column(String(16))
    browser: Mapped[str] = mapped_column(String(255))
    os: Mapped[str | None] = mapped_column(String(255))
    user_agent: Mapped[str | None] = mapped_column(String(512))
    """Null in new rows; releases up to 0.1.0 stored the raw header."""
    ip_address: Mapped[str | None] = mapped_column(String(45))
    """What is shown; null only where no address is known at all."""
    ip_source: Mapped[IpSource] = mapped_column(String(8))
    network: Mapped[str | None] = mapped_column(String(49))
    """What rules go by: the observed IPv4 address, or the /64 of an observed IPv6 address (masked: /24 or /48)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_activity: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The absolute end; never moves."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[EndReason | None] = mapped_column(String(16))
    ended_by: Mapped[str | None] = mapped_column(String(263))
    """The user id, or `service:` and a name; null where time ran out, or where that user was erased."""
    successor_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    """The session that took its place; not a foreign key, it may be purged on its own."""
    because: Mapped[Because | None] = mapped_column(String(16))
    """What the admin or the service that ended it gave as the cause."""


class SessionToken(Base):
    """Which session a token was seen with; several sessions share a key where tokens are byte-identical."""

    __tablename__ = "session_tokens"
    __table_args__ = (Index(None, "session_id"), Index(None, "expires_at"))

    token_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256, never the token."""
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The token's own end; after it the row is of no use."""
    is_opener: Mapped[bool]
    """Whether it opened the session; otherwise it was recognised by its device, which counts less."""


class SessionOwner(Base):
    """One row a user: what the device limit locks."""

    __tablename__ = "session_owners"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)


class PurgeTotals(Base):
    """One row: what the purge has done so far."""

    __tablename__ = "purge_totals"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    runs: Mapped[int] = mapped_column(BigInteger)
    """How often it ran to its end."""
    ends: Mapped[int] = mapped_column(BigInteger)
    """Ends by a time limit that it recorded."""
    sessions: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    last_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CommandEnds(Base):
    """Sessions that commands ended, by reason: a command's process has no metrics that anybody reads."""

    __tablename__ = "command_ends"

    reason: Mapped[EndReason] = mapped_column(String(16), primary_key=True)
    sessions: Mapped[int] = mapped_column(BigInteger)
