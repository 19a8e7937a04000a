"""Which address a request comes from, and which address a session shows. No Flask here.

Limits and the comparison of devices use the observed address alone. An address that the client reports is shown only
if no better one is available, and is marked as reported.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from session_service.records import IpSource

_BRACKETED = re.compile(r"\[([^\]]+)\](?::\d{1,5})?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):\d{1,5}")

_EXACT, _MASKED = {4: 32, 6: 64}, {4: 24, 6: 48}
"""By IP version: the prefix lengths that rules compare, without and with masked addresses."""

_CACHED = 1_024
"""Parsed texts that one process caches: most calls come from an address that has called recently."""


@lru_cache(_CACHED)
def parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """Return *text* as an address; None if it is not one. IPv4-mapped IPv6 becomes IPv4 (RFC 4291 section 2.5.5.2).

    An address with a zone id (`fe80::1%eth0`, RFC 4007) is refused: it names an interface of another machine.
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
        peer: the socket's peer; for a Unix socket None, or a text that is not an address.
        forwarded_for: the values of all `X-Forwarded-For` headers, in order, joined by commas (RFC 9110 section 5.3);
            None without such a header.
        hops: number of trusted proxies. Each appends the address that it saw, so the entry at position *hops* from the
            right is used. A client can forge everything to the left of it.
    """
    entries = (forwarded_for or "").split(",")
    trusted = _parse_entry(entries[-hops]) if 0 < hops <= len(entries) else None
    address = trusted or parse_address(peer)
    return str(address) if address else None


@lru_cache(_CACHED)
def _parse_entry(entry: str) -> IPv4Address | IPv6Address | None:
    """Return the address in one `X-Forwarded-For` entry, without the port that some proxies append."""
    entry = entry.strip()
    with_port = _BRACKETED.fullmatch(entry) or _IPV4_WITH_PORT.fullmatch(entry)
    return parse_address(with_port[1] if with_port else entry)


@lru_cache(_CACHED)
def shown_address(observed: str | None, reported: str | None, hops: int) -> tuple[str | None, IpSource]:
    """Return the address that a new session shows, and its source.

    Behind trusted proxies it is always the observed address. Without them, a peer whose address is not global is most
    likely a gateway, so the reported address is more useful, if it is a valid address.
    """
    seen, claimed = parse_address(observed), parse_address(reported)
    if hops == 0 and claimed and not (seen and seen.is_global):
        return str(claimed), "reported"
    return (str(seen) if seen else None), "observed"


@lru_cache(_CACHED)
def network_of(observed: str | None, *, masked: bool = False) -> str | None:
    """Return the network that rules compare: the IPv4 address (/32), or the /64 of an IPv6 address.

    A host may change the lower half of its IPv6 address at any time (RFC 8981); the upper half belongs to the network.
    With *masked* it is the /24 or the /48 that contains the address. None for no address.
    """
    network = _network(observed, _MASKED if masked else _EXACT)
    return str(network) if network else None


def mask(address: str | None) -> str | None:
    """Return the first address of the /24 (IPv6: /48) that contains *address*; None for no address."""
    network = _network(address, _MASKED)
    return str(network.network_address) if network else None


def is_same_network(one: str | None, other: str | None) -> bool:
    """Return whether two results of `network_of` are equal, or one contains the other.

    Networks of different sizes occur when `MASK_ADDRESSES` was changed between the two. Two Nones are equal.
    """
    return one == other or (one is not None and other is not None and ip_network(one).overlaps(ip_network(other)))


def _network(text: str | None, prefixes: Mapping[int, int]) -> IPv4Network | IPv6Network | None:
    address = parse_address(text)
    return ip_network((address, prefixes[address.version]), strict=False) if address else None
