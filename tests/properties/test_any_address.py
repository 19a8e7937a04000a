"""Which address counts, whatever the client sends: never one that it chose."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from session_service.rules.addresses import (
    mask,
    network_of,
    observed_address,
    parse_address,
    shown_address,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@given(
    forged=st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)), max_size=50),
    trusted=st.lists(st.ip_addresses().map(str), min_size=1, max_size=3),
)
def test_what_the_client_adds_on_the_left_never_counts(forged: list[str], trusted: list[str]) -> None:
    header = ", ".join([*forged, *trusted])

    observed = observed_address("10.0.0.1", header, len(trusted))

    assert observed == observed_address("10.0.0.1", ", ".join(trusted), len(trusted))
    assert observed is not None
    assert ipaddress.ip_address(observed)


ADDRESSES = st.ip_addresses()

FORGED = st.lists(
    st.one_of(
        ADDRESSES.map(str),
        st.text(max_size=30),
        st.sampled_from(
            ["", ",", ", ,", "unknown", "127.0.0.1", "_hidden", "[::1]:80", "::ffff:9.9.9.9", "1.1.1.1:9999"]
        ),
        ADDRESSES.map(lambda address: f"{address}, {address}"),
    ),
    max_size=50,
)

REPORTED = st.one_of(st.none(), ADDRESSES.map(str), st.text())


@given(forged=FORGED, caller=ADDRESSES, proxies=st.lists(ADDRESSES, max_size=3), in_one_header=st.booleans())
def test_no_forged_entry_is_ever_taken_for_the_callers_address(
    forged: list[str], caller: Address, proxies: list[Address], in_one_header: bool
) -> None:
    """The caller forges what it likes; each proxy of ours appends the address that it sees, and the last one calls."""
    hops = len(proxies)
    path = [caller, *proxies]
    appended = [str(address) for address in path[:hops]]
    header = (", " if in_one_header else ",").join([*forged, *appended])

    observed = observed_address(str(path[-1]), header, hops)

    assert observed == str(parse_address(str(caller)))


@given(address=st.ip_addresses(v=4), hops=st.integers(0, 3), reported=REPORTED)
def test_an_ipv4_address_in_an_ipv6_one_is_the_same(address: Address, hops: int, reported: str | None) -> None:
    plain, mapped = (observed_address(f"{prefix}{address}", None, 0) for prefix in ("", "::ffff:"))

    assert plain == mapped == str(address)
    assert network_of(plain) == network_of(mapped) == network_of(f"::ffff:{address}")
    assert shown_address(plain, reported, hops) == shown_address(f"::ffff:{address}", reported, hops)


@given(
    peer=st.one_of(st.none(), ADDRESSES.map(str), st.text()),
    forwarded=FORGED,
    hops=st.integers(0, 3),
    reported=REPORTED,
)
def test_whatever_is_stored_is_an_address(
    peer: str | None, forwarded: list[str], hops: int, reported: str | None
) -> None:
    observed = observed_address(peer, ",".join(forwarded), hops)
    shown, source = shown_address(observed, reported, hops)

    for stored in (observed, shown):
        assert stored is None or str(ipaddress.ip_address(stored)) == stored
    assert network_of(observed) is None or ipaddress.ip_network(str(network_of(observed)))
    # What the client says of itself is shown where no proxy is trusted, marked, and never gone by.
    assert source == "observed" or hops == 0


@given(one=ADDRESSES, other=ADDRESSES)
def test_nothing_but_the_network_is_left_of_a_masked_address(one: Address, other: Address) -> None:
    kept = {4: 24, 6: 48}
    plain = [parse_address(str(address)) for address in (one, other)]
    prefixes = [
        (address.version, int(address) >> (address.max_prefixlen - kept[address.version]))
        for address in plain
        if address
    ]

    assert (mask(str(one)) == mask(str(other))) == (prefixes[0] == prefixes[1])
    assert mask(mask(str(one))) == mask(str(one))


@given(st.text())
def test_whatever_is_taken_for_an_address_is_one(text: str) -> None:
    address = parse_address(text)

    assert address is None or ipaddress.ip_address(str(address)) == address
