"""The only reader of the wall clock, and how an instant is written; every rule and use case takes ``now`` instead."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the present instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def as_text(instant: datetime) -> str:
    """Return *instant* as callers see it: UTC, ISO 8601 with ``Z``, microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def in_words(instant: datetime) -> str:
    """Return *instant* as people read it, to the minute: "8 February 2025 at 15:45 UTC"."""
    utc = instant.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y} at {utc:%H:%M} UTC"
