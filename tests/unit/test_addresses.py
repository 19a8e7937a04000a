"""Which address counts: never one that the client chose."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.rules.addresses import (
    is_same_network,
    mask,
    network_of,
    observed_address,
    parse_address,
    shown_address,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "observed"),
    [
        ("198.51.100.1", [], 0, "198.51.100.1"),
        ("198.51.100.1", ["203.0.113.7"], 0, "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.7"], 1, "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.7"], 1, "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.7, 10.0.0.2"], 2, "203.0.113.7"),
        ("10.0.0.1", ["1.1.1.1", "203.0.113.7"], 1, "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7"], 2, "10.0.0.1"),
        ("10.0.0.1", [], 1, "10.0.0.1"),
        ("10.0.0.1", ["unknown"], 1, "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7,"], 1, "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], 1, "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], 1, "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1"], 1, "2001:db8::1"),
        ("10.0.0.1", ["::ffff:203.0.113.7"], 1, "203.0.113.7"),
        ("10.0.0.1", ["fe80::1%eth0"], 1, "10.0.0.1"),
        ("::ffff:10.0.0.1", [], 0, "10.0.0.1"),
        ("", [], 0, None),
        (None, ["203.0.113.7"], 1, "203.0.113.7"),
    ],
)
def test_observed_address(peer: str | None, forwarded: list[str], hops: int, observed: str | None) -> None:
    assert observed_address(peer, ",".join(forwarded) if forwarded else None, hops) == observed


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


@pytest.mark.parametrize(
    ("observed", "reported", "hops", "shown"),
    [
        ("8.8.8.8", "1.1.1.1", 0, ("8.8.8.8", "observed")),
        ("10.0.0.1", "1.1.1.1", 0, ("1.1.1.1", "reported")),
        ("10.0.0.1", "192.168.1.1", 0, ("192.168.1.1", "reported")),
        ("10.0.0.1", "unknown", 0, ("10.0.0.1", "observed")),
        ("10.0.0.1", None, 0, ("10.0.0.1", "observed")),
        ("10.0.0.1", "1.1.1.1", 1, ("10.0.0.1", "observed")),
        (None, "1.1.1.1", 0, ("1.1.1.1", "reported")),
        (None, None, 0, (None, "observed")),
        ("2001:4860:4860::8888", "1.1.1.1", 0, ("2001:4860:4860::8888", "observed")),
    ],
)
def test_shown_address(observed: str | None, reported: str | None, hops: int, shown: tuple[str | None, str]) -> None:
    assert shown_address(observed, reported, hops) == shown


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        (None, None),
    ],
)
def test_network(address: str | None, network: str | None) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "masked", "network"),
    [
        ("203.0.113.7", "203.0.113.0", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0", "203.0.113.0/24"),
        ("10.255.255.255", "10.255.255.0", "10.255.255.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::", "2001:db8:1::/48"),
        ("2001:db8:1::", "2001:db8:1::", "2001:db8:1::/48"),
        ("::1", "::", "::/48"),
        (None, None, None),
        ("unknown", None, None),
    ],
)
def test_masked(address: str | None, masked: str | None, network: str | None) -> None:
    assert (mask(address), network_of(address, masked=True)) == (masked, network)


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


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("203.0.113.7/32", "203.0.113.7/32", True),
        ("203.0.113.7/32", "203.0.113.8/32", False),
        ("203.0.113.7/32", "203.0.113.0/24", True),
        ("203.0.114.7/32", "203.0.113.0/24", False),
        ("2001:db8:1:2::/64", "2001:db8:1::/48", True),
        ("2001:db8:2:2::/64", "2001:db8:1::/48", False),
        ("0.0.0.0/24", "::/48", False),
        ("203.0.113.7/32", None, False),
        (None, None, True),
    ],
)
def test_a_place_is_the_same_whether_or_not_it_was_masked(one: str | None, other: str | None, is_same: bool) -> None:
    assert is_same_network(one, other) == is_same_network(other, one) == is_same


@given(st.text())
def test_whatever_is_taken_for_an_address_is_one(text: str) -> None:
    address = parse_address(text)

    assert address is None or ipaddress.ip_address(str(address)) == address
