"""Times of a source: what is an instant, and what is ambiguous."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from session_service.importing.left_out import RowProblem

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?) ?([Zz]|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?", re.ASCII
)
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)

_MILLISECONDS_FROM = 1e11
"""Numbers from here on are milliseconds: as seconds they would be after the year 5000."""


def parse_instant(name: str, value: object, zone: ZoneInfo | None) -> datetime:
    """Return the instant of the column *name* in UTC.

    Args:
        name: for the error.
        value: a text in ISO 8601 with a time of day, or seconds or milliseconds since 1970, as a number or a text.
        zone: that of texts without an offset. Where the clock was set back, an hour happened twice: then the earlier
            instant counts, so that no session lasts longer than it may.

    Raises:
        RowProblem: it is no instant; it has no offset and there is no *zone*; or the clock of *zone* was set forward
            over it, so that the zone must be another one.
    """
    if isinstance(value, str):
        text = value.strip()
        match = _ISO.fullmatch(text)
        if match:
            return _of_parts(name, match, zone)
        if _NUMBER.fullmatch(text):
            return _of_number(name, float(text))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(name, float(value))
    raise RowProblem("time", f"{name} is not a time in ISO 8601 or in seconds since 1970")


def _of_parts(name: str, match: "re.Match[str]", zone: ZoneInfo | None) -> datetime:
    date, time, offset = match.groups()
    try:
        read = datetime.fromisoformat(f"{date}T{time.replace(',', '.')}{(offset or '').upper()}")
        if read.tzinfo is not None:
            return read.astimezone(UTC)
        if zone is None:
            raise RowProblem("time_without_zone", f"{name} has no offset; --timezone says which zone its clock is in")
        instant = read.replace(tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) != read:
            raise RowProblem("no_such_time", f"{name} is in an hour that did not happen in {zone.key}")
    except (ValueError, OverflowError) as error:
        raise RowProblem("time", f"{name} is no time of the calendar from the year 1 to 9999 in UTC") from error
    return instant


def _of_number(name: str, seconds: float) -> datetime:
    try:
        if seconds < 0:
            raise ValueError("before 1970")
        return datetime.fromtimestamp(seconds / 1_000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise RowProblem("time", f"{name} is no number of seconds since 1970") from error
