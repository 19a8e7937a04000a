"""The table of imports, beside those of `models`. Its queries are in `import_queries`."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from session_service.database.models import Base, UtcDateTime


class ImportedSession(Base):
    """That a row of an application's own table was imported, so that it is never imported again."""

    __tablename__ = "imported_sessions"
    __table_args__ = (Index(None, "session_id"),)

    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    source_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The application's id of the row. Several rows of one device may have become one session."""
    session_id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    """No foreign key: the purge deletes the session first, and the row must not be imported again after that."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the session's lifetime ends. `RETENTION_DAYS` later the row has no use, and the purge deletes it."""
