"""Which address counts: never one that the client chose."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.addresses import network_of, observed_address, parse_address, shown_address


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
    assert observed_address(peer, forwarded, hops) == observed


@given(
    forged=st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)), max_size=50),
    trusted=st.lists(st.ip_addresses().map(str), min_size=1, max_size=3),
)
def test_what_the_client_adds_on_the_left_never_counts(forged: list[str], trusted: list[str]) -> None:
    header = ", ".join([*forged, *trusted])

    observed = observed_address("10.0.0.1", [header], len(trusted))

    assert observed == observed_address("10.0.0.1", [", ".join(trusted)], len(trusted))
    assert observed is not None
    assert ipaddress.ip_address(observed)


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


@given(st.text())
def test_whatever_is_taken_for_an_address_is_one(text: str) -> None:
    address = parse_address(text)

    assert address is None or ipaddress.ip_address(str(address)) == address
