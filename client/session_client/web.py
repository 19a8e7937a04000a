"""What the adapters share: the caller of a WSGI or ASGI request, and the settings of an adapter. No framework here."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from session_client.caller import Caller, forwarded_for

READING = frozenset({"GET", "HEAD"})
"""Methods of requests that only read (RFC 9110 section 9.2.1): only these may be answered from memory in an outage."""

_ASGI_NAMES = frozenset({b"authorization", b"user-agent", b"x-forwarded-for", b"sec-ch-ua-platform-version"})


def caller_of_environ(environ: Mapping[str, Any], hops: int) -> Caller:
    """Return the caller of a WSGI request (PEP 3333); *hops* as in `forwarded_for`."""
    get = environ.get
    return Caller(
        get("HTTP_AUTHORIZATION"),
        get("HTTP_USER_AGENT"),
        forwarded_for(get("REMOTE_ADDR"), get("HTTP_X_FORWARDED_FOR"), hops),
        get("HTTP_SEC_CH_UA_PLATFORM_VERSION"),
    )


def caller_of_scope(raw_headers: Iterable[tuple[bytes, bytes]], peer: str | None, hops: int) -> Caller:
    """Return the caller of an ASGI request; a header that came several times is joined by commas."""
    found: dict[bytes, str] = {}
    for name, value in raw_headers:
        if name in _ASGI_NAMES:
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return Caller(
        found.get(b"authorization"),
        found.get(b"user-agent"),
        forwarded_for(peer, found.get(b"x-forwarded-for"), hops),
        found.get(b"sec-ch-ua-platform-version"),
    )


def hops_of(environ: Mapping[str, str] | None = None) -> int:
    """Return the number of gateways that `BEHIND_GATEWAY` has; 0 without it.

    Raises:
        ValueError: it is not a number from 0 to 9.
    """
    text = (os.environ if environ is None else environ).get("BEHIND_GATEWAY") or "0"
    if len(text) != 1 or text not in "0123456789":
        raise ValueError("BEHIND_GATEWAY is the number of proxies before this backend, from 0 to 9")
    return int(text)
