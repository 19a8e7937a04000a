"""Which ids and which texts from outside can be stored."""

import re

from session_service.records import UserIdType

MAX_ID = 2**63 - 1
MAX_TEXT_LENGTH = 255

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


def is_storable(text: str) -> bool:
    """Return whether both databases and UTF-8 can represent *text*: no NUL and no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def is_short_text(text: str) -> bool:
    """Return whether *text* has 1 to 255 characters that can be stored."""
    return 0 < len(text) <= MAX_TEXT_LENGTH and is_storable(text)


def parse_number(text: str) -> int | None:
    """Return *text* as a number from 1 to 2^63-1; None unless it is ASCII digits without leading zeros."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= MAX_ID else None


def parse_user_id(value: object, kind: UserIdType) -> str | None:
    """Return *value* as a user's id in canonical form; None if it is not one.

    `integer`: a text that `parse_number` accepts. `string`: any text of 1 to 255 characters that can be stored.
    """
    if not isinstance(value, str):
        return None
    is_id = parse_number(value) is not None if kind == "integer" else is_short_text(value)
    return value if is_id else None
