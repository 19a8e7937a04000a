"""Who called the backend: the headers that decide which session a request belongs to, and their key in the memory."""

import base64
import json
import re
from hashlib import sha256
from typing import NamedTuple

_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
"""Characters that no header may contain (RFC 9110 section 5.5); some servers let them pass."""

MOST_TOKEN_CHARACTERS = 4_096
"""Longer tokens are refused by the service, and are not looked at here."""


class Caller(NamedTuple):
    """What a request says about its caller. Texts are headers as Latin-1; None means that there is no such header."""

    authorization: str | None
    user_agent: str | None
    forwarded_for: str | None
    """What the service is told as `X-Forwarded-For`: see `forwarded_for`."""
    platform_version: str | None = None
    """`Sec-CH-UA-Platform-Version`, which tells Windows 11 from Windows 10 in the name of a new session."""

    def with_token(self, token: str) -> "Caller":
        """Return the same caller with another access token, for example one that was just issued."""
        return self._replace(authorization=f"Bearer {token}")

    @property
    def headers(self) -> dict[str, str]:
        """The headers to send."""
        given = {
            "Authorization": self.authorization,
            "User-Agent": self.user_agent,
            "X-Forwarded-For": self.forwarded_for,
            "Sec-CH-UA-Platform-Version": self.platform_version,
        }
        return {name: _sendable(value) for name, value in given.items() if value is not None}


def _sendable(value: str) -> str:
    return _UNSENDABLE.sub(" ", value).strip()


def key_of(caller: Caller) -> bytes:
    """Return the key of a caller's remembered yes: a digest of token, user agent and forwarded-for.

    No token is kept in the memory. Lengths precede the texts: two callers never have the same bytes.
    """
    authorization, agent, address = caller.authorization, caller.user_agent, caller.forwarded_for
    text = (
        f"{-1 if authorization is None else len(authorization)} {-1 if agent is None else len(agent)} "
        f"{-1 if address is None else 0} {authorization}{agent}{address}"
    )
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def bearer_of(authorization: str | None) -> str:
    """Return the token of an Authorization header; empty if there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def expiry_of(token: str) -> int | None:
    """Return the `exp` of a token that the service has accepted; None if it cannot be read.

    The signature is not verified here: the service has just done so.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MOST_TOKEN_CHARACTERS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    exp = claims.get("exp") if isinstance(claims, dict) else None
    return exp if isinstance(exp, int) and not isinstance(exp, bool) else None


def forwarded_for(peer: str | None, header: str | None, hops: int) -> str | None:
    """Return what to send as `X-Forwarded-For`: exactly as many entries as the service trusts.

    The backend appends nothing, so that the service sees one address of a device, whether a gateway calls it directly
    or by way of the backend: `TRUSTED_PROXY_HOPS` is `max(hops, 1)`.

    Args:
        peer: the address of the backend's socket; None or empty for a Unix socket.
        header: the caller's own `X-Forwarded-For` (several joined by commas), or None.
        hops: number of proxies before the backend that append to it (`behind_gateway`). With 0 the header is dropped.
            Otherwise its *hops* right-most entries are sent: a caller can forge everything to the left of them. With
            fewer entries, someone came around the gateways: the peer's address is sent in their place.
    """
    entries = [entry.strip() for entry in (header or "").split(",")] if hops > 0 else []
    if 0 < hops <= len(entries) and entries[-hops]:
        return ", ".join(entries[-hops:])
    return ", ".join([peer] * max(hops, 1)) if peer else None
