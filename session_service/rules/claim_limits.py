"""How many sessions a user may have by a claim of the token, such as a plan (`SESSION_LIMITS`)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ClaimLimit(NamedTuple):
    """The limit for tokens whose claim has a value."""

    claim: str
    value: str
    limit: int


def parse_claim_limits(text: str) -> tuple[ClaimLimit, ...]:
    """Return the entries of `claim=value:limit,claim=value:limit`.

    A claim may be a URL: its name ends at the first `=`, and the value at the last colon.

    Raises:
        ValueError: an entry has another form, or a value has two limits; the message does not contain the text.
    """
    entries = [_parse(part.strip()) for part in text.split(",") if part.strip()]
    if len({(one.claim, one.value) for one in entries}) < len(entries):
        raise ValueError("must give each value of a claim one limit")
    return tuple(entries)


def claim_limit(claims: Mapping[str, Any], limits: Sequence[ClaimLimit]) -> int | None:
    """Return the limit of the first of *limits* that the *claims* match; None if none does.

    A list matches by any of its items. Numbers and booleans match as JSON writes them.
    """
    return next((one.limit for one in limits if one.value in _texts(find_claim(claims, one.claim))), None)


def find_claim(claims: Mapping[str, Any], name: str) -> object:
    """Return a claim's value, or None. A claim of just that *name* comes first (some are URLs, dots and all), then the
    path into objects that its dots describe."""
    found: object = claims
    for part in [name] if name in claims else name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _parse(entry: str) -> ClaimLimit:
    claim, _, condition = entry.partition("=")
    value, _, limit = condition.rpartition(":")
    claim, value, limit = claim.strip(), value.strip(), limit.strip()
    if not (claim and value and limit.isascii() and limit.isdigit() and len(limit) <= 4):
        raise ValueError("must have the form claim=value:limit,claim=value:limit")
    return ClaimLimit(claim, value, int(limit))


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for item in value if not isinstance(item, list) for text in _texts(item)]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [str(value)] if isinstance(value, str | int | float) else []
