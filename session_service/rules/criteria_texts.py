"""Reads criteria from the texts that people and programs give."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from typing import Any, get_args

from session_service.records import EndReason, UserIdType
from session_service.rules.addresses import network_of, parse_address
from session_service.rules.criteria import Criteria
from session_service.rules.devices import DeviceType
from session_service.rules.identifiers import MAX_TEXT_LENGTH, is_short_text, parse_user_id

# RFC 3339 section 5.6. The offset is required: an instant without one is ambiguous.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}
_SELECTING = "user_id, address, network, created_after, created_before, ended_after or ended_before"


class CriteriaProblem(ValueError):
    """Criteria cannot be used. `errors` has messages for people by criterion; `criteria` is all of them together."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in errors.items()))
        self.errors = errors


def parse_criteria(given: Mapping[str, str], *, kind: UserIdType, masked: bool) -> Criteria:
    """Return the criteria in these texts, by name.

    Args:
        kind: what a user's id looks like.
        masked: whether the service stores the networks of addresses only (`MASK_ADDRESSES`).

    Raises:
        CriteriaProblem: a name or a text is invalid, or no criterion selects.
    """
    parsers: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(("device_name", "browser", "os"), _text),
        **dict.fromkeys(("created_after", "created_before", "ended_after", "ended_before"), _instant),
        "user_id": partial(_user_id, kind),
        "address": _address,
        "network": partial(_network, masked),
        "device_type": partial(_one_of, get_args(DeviceType)),
        "reason": partial(_one_of, get_args(EndReason)),
        "active": _switch,
    }
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, text in given.items():
        try:
            if name not in parsers:
                raise ValueError(f"No such criterion. There are {', '.join(sorted(parsers))}.")
            values[name] = parsers[name](text)
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise CriteriaProblem(errors)
    places = [values.pop(name) for name in ("address", "network") if name in values]
    criteria = Criteria(**values, networks=frozenset.intersection(*places) if places else None)
    if criteria.selection is None:
        raise CriteriaProblem({"criteria": [f"Give at least one of {_SELECTING}; the others refine."]})
    return criteria


def _text(text: str) -> str:
    if not is_short_text(text):
        raise ValueError(f"Must have 1 to {MAX_TEXT_LENGTH} characters, without NUL and lone surrogates.")
    return text


def _one_of(values: tuple[str, ...], text: str) -> str:
    if text not in values:
        raise ValueError(f"Must be one of: {', '.join(values)}.")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise ValueError("Must be true or false.")
    return _SWITCHES[text.lower()]


def _user_id(kind: UserIdType, text: str) -> str:
    user_id = parse_user_id(text, kind)
    if user_id is None:
        raise ValueError("Not a user id.")
    return user_id


def _instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError("Must be an instant with its offset, such as 2025-02-08T16:00:00Z.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such instant from the year 1 to the year 9999.") from None


def _address(text: str) -> frozenset[str]:
    """Return what is stored for an address: its own network, or the one that contains it if addresses are masked."""
    if parse_address(text) is None:
        raise ValueError("Not an IP address.")
    return frozenset(filter(None, (network_of(text), network_of(text, masked=True))))


def _network(masked: bool, text: str) -> frozenset[str]:
    """Return a network as it is stored. An index finds no other size, because it compares texts."""
    sizes = (
        "/24 for IPv4 and /48 for IPv6, because MASK_ADDRESSES is on"
        if masked
        else "/32 for IPv4 and /64 for IPv6, because MASK_ADDRESSES is off"
    )
    words = f"Must be a network as this service stores it: {sizes}. Use address for a single address."
    address, _, length = text.partition("/")
    if parse_address(address) is None or not re.fullmatch(r"[0-9]{1,3}", length):
        raise ValueError(words)
    stored = network_of(address, masked=masked)
    try:
        given = str(ip_network(f"{parse_address(address)}/{length}", strict=False))
    except ValueError:
        raise ValueError(words) from None
    if stored is None or given != stored:
        raise ValueError(words)
    if ip_network(stored).network_address != parse_address(address):
        raise ValueError(f"Has bits beyond its prefix. Did you mean {stored}?")
    return frozenset({stored})
