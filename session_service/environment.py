"""Reads settings from environment variables: from a text to the setting's type."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from session_service.rules.claim_limits import ClaimLimit, parse_claim_limits
from session_service.rules.identifiers import is_storable


def read_values(hints: Mapping[str, object], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the values that *environ* has for settings, and what is wrong with its texts.

    Args:
        hints: the settings' names and types.
        environ: an empty variable counts as absent.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, hint in hints.items():
        text = environ.get(name, "").strip()
        if not is_storable(text):
            problems.append(f"{name} must be UTF-8")
        elif text:
            try:
                values[name] = parser_of(hint)(text)
            except ValueError as error:
                problems.append(f"{name} {error}")
    return values, problems


def parser_of(hint: object) -> Callable[[str], object]:
    """Return the function that converts the text of a setting of type *hint*.

    The function raises ValueError for an invalid text. The message says what the text must be, and does not contain it.
    """
    return _PARSERS.get(hint, str)


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


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_PARSERS: dict[object, Callable[[str], object]] = {
    int: _parse_integer,
    int | None: _parse_integer,
    float: _parse_decimal,
    bool: _parse_boolean,
    tuple[str, ...]: _parse_list,
    tuple[ClaimLimit, ...]: parse_claim_limits,
    Mapping[str, str]: _parse_credentials,
}
