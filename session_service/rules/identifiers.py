"""RULES: what an id, and a text from outside, must look like to be kept."""

import re

from session_service.records import UserIdType

MAX_ID = 2**63 - 1
MAX_TEXT_LENGTH = 255

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


def is_storable(text: str) -> bool:
    """Return whether both databases, and UTF-8, can hold *text*: no NUL and no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def is_short_text(text: str) -> bool:
    """Return whether *text* has 1 to 255 characters that can be stored."""
    return 0 < len(text) <= MAX_TEXT_LENGTH and is_storable(text)


def parse_number(text: str) -> int | None:
    """Return the number from 1 to 2^63-1 that *text* writes in ASCII digits without leading zeros, or None."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= MAX_ID else None


def parse_user_id(value: object, kind: UserIdType) -> str | None:
    """Return *value* as a user's id in canonical form, or None if it is none.

    `integer`: a number as `parse_number` takes it. `string`: any text of 1 to 255 characters that can be stored.
    """
    if not isinstance(value, str):
        return None
    is_id = parse_number(value) is not None if kind == "integer" else is_short_text(value)
    return value if is_id else None
