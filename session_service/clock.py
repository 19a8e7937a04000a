"""The only reader of the wall clock, and how an instant is written; every rule and use case takes ``now`` instead."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the present instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def as_text(instant: datetime) -> str:
    """Return *instant* as callers see it: UTC, ISO 8601 with ``Z``, microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
