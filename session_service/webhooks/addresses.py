"""Which addresses a message may be sent to: against requests that are forged by way of a name (SSRF).

A name is resolved once, all its addresses are checked, and the call goes to a checked address: a second resolution
could have another result.
"""

import socket
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Thread

from session_service.webhooks.errors import AddressRefused, CallFailed

_NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses with an IPv4 address in their last four bytes (RFC 6052)."""


def is_public(text: str) -> bool:
    """Return whether an address is one of the public Internet, and so are all addresses that it contains.

    Private, loopback, link-local, multicast, shared (RFC 6598) and reserved addresses are not.
    """
    try:
        address = ip_address(text)
    except ValueError:  # with a zone, for example
        return False
    if isinstance(address, IPv6Address):
        translated = _translated(address)
        if translated is not None:
            return _is_public(translated)
        return _is_public(address) and all(map(_is_public, (address.sixtofour, *(address.teredo or ()))))
    return _is_public(address)


def resolve(host: str, port: int, *, allow_private: bool, seconds: float) -> list[tuple[str, int]]:
    """Return the addresses of a host, in the resolver's order.

    Raises:
        AddressRefused: one of them is not public, and *allow_private* is false.
        CallFailed: the name has no address, or the resolver did not answer in time.
    """
    found = [(address, port) for address in _look_up(host, port, seconds)]
    if not allow_private and not all(is_public(address) for address, _ in found):
        raise AddressRefused
    return found


def _is_public(address: IPv4Address | IPv6Address | None) -> bool:
    return address is None or (address.is_global and not address.is_multicast and not address.is_reserved)


def _translated(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to an IPv6 address go to: mapped, or behind a NAT64."""
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address.ipv4_mapped


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """Resolve a name in another thread: the resolver's own time limits are long, and cannot be set."""
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result([str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except FutureTimeoutError as error:
        raise CallFailed("the name was not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise CallFailed("the name cannot be resolved") from error
