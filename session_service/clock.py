"""The only module that reads the wall clock, and the formats of an instant.

Rules and use cases take `now` as an argument instead.
"""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the current instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def seconds_since(instant: datetime | None, now: datetime) -> float:
    """Return the seconds from *instant* to *now*; 0 without one, or if it is later by another machine's clock."""
    return max((now - instant).total_seconds(), 0.0) if instant else 0.0


def as_text(instant: datetime) -> str:
    """Return *instant* as callers see it: ISO 8601 in UTC with `Z`; microseconds only if they are not zero."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def in_words(instant: datetime) -> str:
    """Return *instant* for people, to the minute: "8 February 2025 at 15:45 UTC"."""
    utc = instant.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y} at {utc:%H:%M} UTC"
