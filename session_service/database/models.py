"""The nine tables. Only migrations create them, never `create_all`. No queries here.

Queries are in `session_queries`, `purge_queries`, `personal_data_queries`, `webhook_queries`,
`parked_queries` and `statements`.
"""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Integer, LargeBinary, MetaData, String, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from session_service.records import Because, EndReason, IpSource

SCHEMA_REVISION = "0009"
"""The oldest schema that this code can run on. `/readyz` compares it with the database; a newer one is accepted."""


VERSION_TABLE = "session_service_version"
"""The table with the revision of the schema. Not Alembic's default name: another service may use that."""


OPEN, ENDED = text("ended_at IS NULL"), text("ended_at IS NOT NULL")


class Base(DeclarativeBase):
    """The models' base class. Every constraint gets a name, so that every migration can be reverted."""

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
    """An instant, timezone-aware in Python for both databases. SQLite has no such type, so UTC is stored there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC.

        Raises:
            ValueError: *value* is naive, so the instant is ambiguous.
        """
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value in UTC, whatever the connection's time zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class UserSession(Base):
    """One signed-in device of one user. A session ends once; the purge or the user's erasure deletes its row."""

    __tablename__ = "sessions"
    __table_args__ = (
        # No index contains last_activity, so that an update of it is heap-only (HOT) on PostgreSQL.
        Index("ix_sessions_open", "user_id", "id", postgresql_where=OPEN, sqlite_where=OPEN),
        # The id makes each entry a place from which a search goes on.
        Index("ix_sessions_ended_at_id", "ended_at", "id", postgresql_where=ENDED, sqlite_where=ENDED),
        Index(None, "user_id", "id"),
        Index(None, "network", "id"),
        Index(None, "created_at", "id"),
        {"sqlite_autoincrement": True, "postgresql_with": {"fillfactor": 85}},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)
    """Never reused; ascending in the order of creation."""
    sid: Mapped[str | None] = mapped_column(String(255))
    """The auth server's session id (the claim `sid`); null without one."""
    user_id: Mapped[str] = mapped_column(String(255))
    device_fingerprint: Mapped[str | None] = mapped_column(String(255))
    """As the client sent it. It identifies no device: many browsers send the same."""
    device_key: Mapped[str] = mapped_column(String(255))
    """Browser family, system family and model, without versions."""
    device_name: Mapped[str] = mapped_column(String(255))
    device_type: Mapped[str] = mapped_column(String(16))
    browser: Mapped[str] = mapped_column(String(255))
    os: Mapped[str | None] = mapped_column(String(255))
    user_agent: Mapped[str | None] = mapped_column(String(512))
    """Null in new rows; releases up to 0.1.0 stored the raw header."""
    ip_address: Mapped[str | None] = mapped_column(String(45))
    """The address that callers see; null only if no address is known."""
    ip_source: Mapped[IpSource] = mapped_column(String(8))
    network: Mapped[str | None] = mapped_column(String(49))
    """What rules compare: the observed IPv4 address, or the /64 of the observed IPv6 address (masked: /24 or /48)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_activity: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The end by lifetime; never changes."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[EndReason | None] = mapped_column(String(16))
    ended_by: Mapped[str | None] = mapped_column(String(263))
    """A user id, or `service:` and a name; null if a time limit ended the session or that user was erased."""
    successor_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    """The new session because of which this one ended (`replaced`, `limit`). No foreign key: it may be purged first."""
    because: Mapped[Because | None] = mapped_column(String(16))
    """What the admin or the service that ended it gave as the cause."""


class SessionToken(Base):
    """Which session a token belongs to. Byte-identical tokens have one key, which may belong to several sessions."""

    __tablename__ = "session_tokens"
    __table_args__ = (Index(None, "session_id"), Index(None, "expires_at"))

    token_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """A SHA-256 digest, never the token itself."""
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The token's `exp`. Afterwards the row has no use, and the purge deletes it."""
    is_opener: Mapped[bool]
    """Whether this token created the session. Otherwise it was matched by its device; that counts only for a token
    that has created no session."""


class SessionOwner(Base):
    """One row for each user: the row that sign-ins lock."""

    __tablename__ = "session_owners"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)


class SessionEventRow(Base):
    """A change of a session's life, written in the transaction that makes the change. The purge deletes it."""

    __tablename__ = "session_events"
    __table_args__ = (
        # A session is created once and ends once, whatever raced.
        Index(None, "session_id", "what", unique=True),
        Index(None, "xact", "id"),
        Index(None, "reason", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)
    xact: Mapped[int] = mapped_column(BigInteger)
    """PostgreSQL's id of the transaction that wrote the row (64 bits, never reused); 0 on SQLite."""
    what: Mapped[str] = mapped_column(String(8))
    """`created` or `ended`."""
    session_id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    """No foreign key: the session may be purged first."""
    user_id: Mapped[str | None] = mapped_column(String(255))
    """Null if the user was erased."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the row was written, from which its retention counts."""
    reason: Mapped[str] = mapped_column(String(16))
    initiated_by: Mapped[str | None] = mapped_column(String(263))
    """A user id, or `service:` and a name; null if a time limit ended the session or that user was erased."""
    successor_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    because: Mapped[Because | None] = mapped_column(String(16))
    device_name: Mapped[str | None] = mapped_column(String(255))
    is_new_device: Mapped[bool | None]


class PurgedEvents(Base):
    """A single row: the position of the newest event that was purged. A reader before it has missed events."""

    __tablename__ = "purged_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    xact: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int] = mapped_column(BigInteger)


class ObservedEndRow(Base):
    """What `enforce` would have done to a session, while the service only observes (`services.observing`)."""

    __tablename__ = "observed_ends"

    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it would have been evicted, or when it was created nevertheless."""
    code: Mapped[str] = mapped_column(String(24))
    """With which later calls would have been refused."""
    is_evicted: Mapped[bool]
    """Whether it would have been evicted. Otherwise its sign-in would have been refused."""


class PurgeTotals(Base):
    """A single row: the totals of all complete runs of the purge."""

    __tablename__ = "purge_totals"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    runs: Mapped[int] = mapped_column(BigInteger)
    """Number of complete runs."""
    ends: Mapped[int] = mapped_column(BigInteger)
    """Recorded ends by a time limit."""
    sessions: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    last_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CommandEnds(Base):
    """Number of sessions that commands ended, by reason: nothing scrapes the metrics of a command's process."""

    __tablename__ = "command_ends"

    reason: Mapped[EndReason] = mapped_column(String(16), primary_key=True)
    sessions: Mapped[int] = mapped_column(BigInteger)


class WebhookEndpoint(Base):
    """How far one endpoint of the `WEBHOOKS` file has been sent the events."""

    __tablename__ = "webhook_endpoints"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    xact: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int] = mapped_column(BigInteger)
    """With `xact` the position: every event up to it was delivered, parked, or is not for this endpoint."""
    failures: Mapped[int]
    """Failed attempts at the next event so far."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(255))
    """Of the last failed attempt. Null after a success. Contains nothing that the receiver sent but the status."""
    last_error_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_by: Mapped[str | None] = mapped_column(String(64))
    """Which process may send to the endpoint until `leased_until`, by the clock of the database."""
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_total: Mapped[int] = mapped_column(BigInteger)
    failed_total: Mapped[int] = mapped_column(BigInteger)
    parked_total: Mapped[int] = mapped_column(BigInteger)
    missed_total: Mapped[int] = mapped_column(BigInteger)
    """How often the purge had deleted events that the endpoint had not been sent."""


class ParkedDelivery(Base):
    """An event that an endpoint did not take. It contains nothing of the event, and goes when the event goes."""

    __tablename__ = "parked_deliveries"

    event_id: Mapped[int] = mapped_column(ForeignKey("session_events.id", ondelete="CASCADE"), primary_key=True)
    endpoint: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.name", ondelete="CASCADE"), primary_key=True)
    parked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int]
    last_error: Mapped[str] = mapped_column(String(255))
    is_due: Mapped[bool]
    """Whether an operator asked for another attempt."""
