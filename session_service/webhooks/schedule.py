"""When a failed attempt is repeated: pure functions."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_MINUTE, _HOUR = 60, 3_600

RETRY_SECONDS: tuple[float, ...] = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Pauses after the first, second, … failed attempt, as Standard Webhooks proposes them: over three days in all."""

LONGEST_PAUSE_SECONDS = 24 * _HOUR

JITTER = 0.1
"""A pause is shorter or longer by up to this part, so that many senders do not return to a receiver at once."""


def next_attempt(failures: int, pauses: Sequence[float], now: datetime, chance: float) -> datetime | None:
    """Return when to try again after so many failed attempts at an event; None if the last one has failed.

    Args:
        failures: 1 or more.
        pauses: seconds, after the first, second, … failed attempt.
        chance: a random number from 0 to 1.
    """
    if failures > len(pauses):
        return None
    return now + timedelta(seconds=pauses[failures - 1] * (1 + JITTER * (2 * chance - 1)))
