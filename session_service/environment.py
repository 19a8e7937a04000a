"""Converts the text of an environment variable to a setting's type."""

import re
from collections.abc import Callable, Mapping


def parser_of(hint: object) -> Callable[[str], object]:
    """Return the function that converts the text of a setting of type *hint*.

    The function raises ValueError for an invalid text. The message says what the text must be, and does not contain it.
    """
    if hint in (int, int | None):
        return _parse_integer
    if hint is float:
        return _parse_decimal
    if hint is bool:
        return _parse_boolean
    if hint == tuple[str, ...]:
        return lambda text: tuple(part.strip() for part in text.split(",") if part.strip())
    if hint == Mapping[str, str]:
        return _parse_credentials
    return str


def _parse_integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return int(text)


def _parse_decimal(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError("must be a number")
    return float(text)


def _parse_boolean(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("must be true or false")
    return text.lower() in {"true", "1"}


def _parse_credentials(text: str) -> dict[str, str]:
    pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    if not all(name and secret for name, _, secret in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
        raise ValueError("must have the form name:secret,name:secret, with each name once")
    return {name: secret for name, _, secret in pairs}
