"""What is wrong with a setting's value, in words that complete the setting's name and contain nothing of the value."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

from session_service.auth_server.keys import KeyProblem
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.rules.claim_limits import ClaimLimit
from session_service.rules.identifiers import is_short_text
from session_service.webhooks.endpoints import EndpointsProblem, load

Check = Callable[[Any], str | None]
"""Returns what is wrong with a value that has the right type; None if nothing is."""

KEYS = ("JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")
MIN_SECRET_BYTES = 32
"""The least length of an HS256 key (RFC 7518 section 3.2)."""
MIN_SERVICE_SECRET = 16
MAX_PORT = 65_535

DROPPED = {
    "STORE_USER_AGENT": "the raw user agent is not stored any more; no rule used it",
    "WEB_THREADS": "the number of threads follows from DATABASE_CONNECTIONS",
}
"""Settings of earlier releases, and why they stop the start: an ignored setting would be taken for one that works."""

SHORT_RETENTION = (
    "RETENTION_DAYS is shorter than REVOKED_DEVICE_SECONDS or SESSION_IDLE_SECONDS: once the purge has deleted an "
    "ended session, its device may be used again with a refreshed token"
)
OBSERVING = "SESSION_ENFORCEMENT is observe: a session that has ended is not refused, and the device limit ends nothing"
WEBHOOK_RETRY_DAYS = 4
"""More than the pauses between all attempts at one event together (`webhooks.schedule`)."""
SHORT_EVENT_RETENTION = (
    f"EVENT_RETENTION_DAYS is shorter than {WEBHOOK_RETRY_DAYS}: the purge deletes events that webhooks still repeat"
)

_ORIGIN = re.compile(r"\*|https?://[A-Za-z0-9.-]+(?::([0-9]{1,5}))?")
"""No IPv6 literals: flask-cors would take their brackets for a pattern."""


def number(least: float, most: float) -> Check:
    """Return a check that a number is from *least* to *most*."""
    return lambda value: None if least <= value <= most else f"must be from {least} to {most}"


def one_of(choices: Any) -> Check:
    """Return a check that a text is one of a `Literal`'s *choices*."""
    names = get_args(choices)
    return lambda value: None if value in names else f"must be one of {', '.join(names)}"


def some(value: tuple[str, ...]) -> str | None:
    """Check that a list is not empty."""
    return None if value else "must name at least one"


def origins(value: tuple[str, ...]) -> str | None:
    """Check that these are web origins (RFC 6454) without a path, or `*`."""
    matches = [_ORIGIN.fullmatch(origin) for origin in value]
    if all(match and int(match[1] or 0) <= MAX_PORT for match in matches):
        return None
    return "must hold origins such as https://app.example.com (no path), or *"


def credentials(value: Mapping[str, str]) -> str | None:
    """Check the names and secrets of services."""
    if any(len(secret) < MIN_SERVICE_SECRET for secret in value.values()):
        return f"must have secrets of at least {MIN_SERVICE_SECRET} characters"
    return None if all(is_short_text(name) for name in value) else "must have names of at most 255 characters"


def claim_limits(value: Sequence[ClaimLimit]) -> str | None:
    """Check the limits of claims."""
    problems = map(number(1, MAX_ACTIVE_LISTED), (one.limit for one in value))
    return next((f"has a limit that {problem}" for problem in problems if problem), None)


def dropped(environ: Mapping[str, str]) -> list[str]:
    """Return what is wrong with an environment that has settings of earlier releases."""
    return [f"{name} is no setting any more: {why}" for name, why in DROPPED.items() if environ.get(name, "").strip()]


def key_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the keys together, and with secrets that are too short."""
    if sum(settings[name] is not None for name in KEYS) != 1:
        yield f"set exactly one of {KEYS[0]}, {KEYS[1]} and {KEYS[2]}"
    if settings["JWT_PREVIOUS_SECRET_KEY"] is not None and settings["JWT_SECRET_KEY"] is None:
        yield "JWT_PREVIOUS_SECRET_KEY needs JWT_SECRET_KEY beside it"
    for name in ("JWT_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEY"):
        text = settings[name]
        if text is not None and len(text.encode()) < MIN_SECRET_BYTES and not settings["JWT_ALLOW_SHORT_SECRET"]:
            yield f"{name} must have at least {MIN_SECRET_BYTES} bytes (or set JWT_ALLOW_SHORT_SECRET=true)"


def key(read: Callable[[str], object]) -> Check:
    """Return a check that *read* accepts a key's text."""

    def check(text: str) -> str | None:
        try:
            read(text)
        except KeyProblem as problem:
            return str(problem)
        return None

    return check


def address(placeholder: str = "") -> Check:
    """Return a check that a text is an http(s) URL without a user, with *placeholder* in its path or query."""
    words = "must be an http(s) address" + (f" with {placeholder} in its path or query" if placeholder else "")
    return lambda url: None if _is_address(url, placeholder) else words


def _is_address(url: str, placeholder: str) -> bool:
    try:
        parsed = urlsplit(url)
        host = (parsed.hostname or "").encode("idna")
        is_complete = parsed.scheme in {"http", "https"} and bool(host) and parsed.port != 0
    except ValueError:
        return False
    has_placeholder = placeholder in parsed.path or placeholder in parsed.query
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return is_complete and has_placeholder and is_plain and not any(odd in parsed.netloc for odd in "{@%")


def endpoints(path: str) -> str | None:
    """Check the file of webhook endpoints; name every problem."""
    try:
        load(path)
    except EndpointsProblem as found:
        return str(found)
    return None
