"""RULES: which address a request comes from, and which one a session shows. No Flask here.

Limits and the "same device" rule go by the observed address alone; what a client says of itself is shown
only where nothing better is known, and marked as reported.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from session_service.records import IpSource

_BRACKETED = re.compile(r"\[([^\]]+)\](?::\d{1,5})?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):\d{1,5}")

_EXACT, _MASKED = {4: 32, 6: 64}, {4: 24, 6: 48}
"""How many bits of an address of each version are gone by, and kept where addresses are masked."""

_REMEMBERED = 1_024
"""Texts whose meaning is remembered in one process: most calls come from an address that called a moment ago."""


@lru_cache(_REMEMBERED)
def parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """Return *text* as an address, or None; an IPv4-mapped IPv6 address is its IPv4 (RFC 4291 section 2.5.5.2).

    Zone ids (`fe80::1%eth0`, RFC 4007) name an interface of somebody else's machine and are refused.
    """
    if text is None or "%" in text:
        return None
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def observed_address(peer: str | None, forwarded_for: str | None, hops: int) -> str | None:
    """Return the address that the outermost trusted proxy saw, or the socket's peer.

    Args:
        peer: the socket's other end; None or no address for a Unix socket.
        forwarded_for: the values of all `X-Forwarded-For` headers, in order, with commas between (RFC 9110
            section 5.3); None where there is none.
        hops: how many proxies are ours. Each appends the address it saw, so the entry that counts
            is the one *hops* from the right; everything left of it is the client's own invention.
    """
    entries = (forwarded_for or "").split(",")
    believed = _parse_entry(entries[-hops]) if 0 < hops <= len(entries) else None
    address = believed or parse_address(peer)
    return str(address) if address else None


@lru_cache(_REMEMBERED)
def _parse_entry(entry: str) -> IPv4Address | IPv6Address | None:
    """Return the address in one `X-Forwarded-For` entry; some proxies append the port."""
    entry = entry.strip()
    with_port = _BRACKETED.fullmatch(entry) or _IPV4_WITH_PORT.fullmatch(entry)
    return parse_address(with_port[1] if with_port else entry)


def shown_address(observed: str | None, reported: str | None, hops: int) -> tuple[str | None, IpSource]:
    """Return the address that a new session shows, and where it is from.

    Behind trusted proxies it is the observed one, always. Without them a private peer is most likely
    a gateway, so what the client reports says more, if it is an address at all.
    """
    seen, told = parse_address(observed), parse_address(reported)
    if hops == 0 and told and not (seen and seen.is_global):
        return str(told), "reported"
    return (str(seen) if seen else None), "observed"


def network_of(observed: str | None, *, masked: bool = False) -> str | None:
    """Return what two sign-ins from one place share: the IPv4 address, or the /64 of an IPv6 address.

    A host changes the lower half of its IPv6 address at will (RFC 8981); its network keeps the upper half.
    With *masked* it is the /24 or the /48 that the address is in.
    """
    network = _network(observed, _MASKED if masked else _EXACT)
    return str(network) if network else None


def mask(address: str | None) -> str | None:
    """Return the first address of the /24 (IPv6: /48) that *address* is in; None for no address."""
    network = _network(address, _MASKED)
    return str(network.network_address) if network else None


def is_same_network(one: str | None, other: str | None) -> bool:
    """Return whether two of `network_of`'s networks are one, or one lies in the other: recorded before masking began.

    Two unknown ones are the same.
    """
    return one == other or (one is not None and other is not None and ip_network(one).overlaps(ip_network(other)))


def _network(text: str | None, prefixes: Mapping[int, int]) -> IPv4Network | IPv6Network | None:
    address = parse_address(text)
    return ip_network((address, prefixes[address.version]), strict=False) if address else None
