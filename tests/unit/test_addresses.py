"""Which address counts: never one that the client chose."""

import pytest

from session_service.rules.addresses import (
    is_same_network,
    mask,
    network_of,
    observed_address,
    shown_address,
)


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
