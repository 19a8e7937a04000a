"""Addresses, pauses, signatures, and calls over TLS: without a database."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from session_service.config_checks import WEBHOOK_RETRY_DAYS
from session_service.webhooks import addresses, call
from session_service.webhooks.call import post
from session_service.webhooks.errors import AddressRefused, CallFailed
from session_service.webhooks.message import initiating_entity
from session_service.webhooks.schedule import JITTER, LONGEST_PAUSE_SECONDS, RETRY_SECONDS, next_attempt
from tests.harness.webhooks import receiving, tls_server

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
        "not an address",
    ],
)
def test_other_addresses_may_not(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("spelt", ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:7f00:1]"])
def test_no_spelling_of_this_machine_is_called(spelt: str) -> None:
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        with pytest.raises(AddressRefused):
            post(f"http://{spelt}:{port}/x", b"{}", {}, seconds=5, allow_private=False)

        assert receiver.attempts == []


def test_a_name_with_one_private_address_is_refused_and_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolver(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in ("93.184.215.14", "10.0.0.1")]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolver)

    with pytest.raises(AddressRefused):
        post("https://app.example/x", b"{}", {}, seconds=5, allow_private=False)
    assert asked == ["app.example"]


def test_a_name_that_cannot_be_resolved_is_a_failure() -> None:
    with pytest.raises(CallFailed, match="cannot be resolved"):
        post("https://nothing.invalid/x", b"{}", {}, seconds=5, allow_private=False)


def test_a_resolver_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = Event()
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: is_over.wait(20) and [])

    with pytest.raises(CallFailed, match="not resolved in time"):
        post("https://app.example/x", b"{}", {}, seconds=0.2, allow_private=False)
    is_over.set()


def test_certificates_are_verified_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_server(tmp_path) as (port, certificate):
        with pytest.raises(CallFailed, match="certificate is not valid"):
            post(f"https://localhost:{port}/x", b"{}", {}, seconds=5, allow_private=True)

        monkeypatch.setattr(call, "_TLS", ssl.create_default_context(cafile=certificate))
        assert post(f"https://localhost:{port}/x", b"{}", {}, seconds=5, allow_private=True) == 200
        with pytest.raises(CallFailed, match="certificate is not valid"):
            post(f"https://127.0.0.1:{port}/x", b"{}", {}, seconds=5, allow_private=True)


def test_the_schedule_is_that_of_the_documents_and_shorter_than_the_warning_says() -> None:
    assert RETRY_SECONDS == (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert max(RETRY_SECONDS) <= LONGEST_PAUSE_SECONDS
    assert sum(RETRY_SECONDS) * (1 + JITTER) < WEBHOOK_RETRY_DAYS * 86_400


def test_pauses_are_jittered_and_end() -> None:
    pauses = [10, 100]

    assert next_attempt(1, pauses, NOW, 0.5) == NOW + timedelta(seconds=10)
    assert next_attempt(2, pauses, NOW, 0.0) == NOW + timedelta(seconds=90)
    assert next_attempt(2, pauses, NOW, 1.0) == NOW + timedelta(seconds=110)
    assert next_attempt(3, pauses, NOW, 0.5) is None
    assert next_attempt(1, [], NOW, 0.5) is None


@pytest.mark.parametrize(
    ("actor", "entity"),
    [("user", "user"), ("admin", "admin"), ("service:x", "admin"), ("policy", "policy"), ("system", "system")],
)
def test_actors_have_a_word_of_caep(actor: str, entity: str) -> None:
    assert initiating_entity(actor) == entity


def test_a_call_counts_its_time_from_the_look_up_to_the_last_byte() -> None:
    with receiving() as receiver:
        receiver.faults["x"] = ["drip"]
        began_at = monotonic()
        with pytest.raises(CallFailed, match=r"no complete answer within 0\.3 s"):
            post(f"{receiver.url}/x", b"{}", {}, seconds=0.3, allow_private=True)

    assert monotonic() - began_at >= 0.3
