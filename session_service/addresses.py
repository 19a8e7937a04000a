"""RULES: which address a request comes from, and which one a session shows. No Flask here.

Limits and the "same device" rule go by the observed address alone; what a client says of itself is shown
only where nothing better is known, and marked as reported.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from session_service.records import IpSource

_BRACKETED = re.compile(r"\[([^\]]+)\](?::\d{1,5})?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):\d{1,5}")


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


def observed_address(peer: str | None, forwarded_for: list[str], hops: int) -> str | None:
    """Return the address that the outermost trusted proxy saw, or the socket's peer.

    Args:
        peer: the socket's other end; None or no address for a Unix socket.
        forwarded_for: the values of all `X-Forwarded-For` headers, in order.
        hops: how many proxies are ours. Each appends the address it saw, so the entry that counts
            is the one *hops* from the right; everything left of it is the client's own invention.
    """
    entries = ",".join(forwarded_for).split(",")
    believed = _parse_entry(entries[-hops]) if 0 < hops <= len(entries) else None
    address = believed or parse_address(peer)
    return str(address) if address else None


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


def network_of(observed: str | None) -> str | None:
    """Return what two sign-ins from one place share: the IPv4 address, or the /64 of an IPv6 address.

    A host changes the lower half of its IPv6 address at will (RFC 8981); its network keeps the upper half.
    """
    address = parse_address(observed)
    if address is None:
        return None
    return str(ip_network((address, 64 if address.version == 6 else 32), strict=False))
