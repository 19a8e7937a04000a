"""Webhooks: what is sent, to whom and when; on both databases, to a real receiver."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from session_service.clock import utcnow
from session_service.services.purge import purge
from session_service.webhooks.delivery import Delivery
from tests.harness.feed import BACKEND
from tests.harness.support import MakeApp, components_of, sign_in_with
from tests.harness.webhook_turns import deliver_all
from tests.harness.webhooks import OLD_SECRET, Receiver


def test_a_sign_in_and_its_end_are_sent_in_order_signed_and_once(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start()
    device = sign_in_with(app.test_client())(body={"device_fingerprint": "a-fingerprint"})
    device.delete("/sessions/logout")

    deliver_all(app, delivery)

    created, ended = receiver.taken("mail")
    assert (receiver.unsigned, len(receiver.attempts)) == ([], 2)
    assert created.headers["content-type"] == "application/json"
    assert created.message["data"]["session"].items() >= {"id": device.id, "is_active": False, "user_id": 74}.items()
    of_session = ended.message["data"]["session"]
    assert ended.message == {
        "id": ended.id,
        "type": "session.ended",
        "timestamp": of_session["ended_at"],
        "data": {
            "session_id": device.id,
            "user_id": 74,
            "reason": "logout",
            "actor": "user",
            "successor_id": None,
            "because": None,
            "device_name": "Chrome on Windows 10",
            "initiating_entity": "user",
            "session": {
                **{name: value for name, value in device.session.items() if name not in {"evicted", "is_current"}},
                "last_activity": of_session["ended_at"],
                "idle_expires_at": of_session["idle_expires_at"],
                "is_active": False,
                "ended_at": ended.message["timestamp"],
                "end_reason": "logout",
            },
        },
    }
    assert created.message["data"]["new_device"] is True
    sent = b"".join(one.body for one in receiver.attempts)
    assert b"fingerprint" not in sent
    assert b"eyJ" not in sent


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda device, client: device.delete("/sessions/logout-all"), ("user", None)),
        (
            lambda device, client: client.delete("/sessions/user/74?because=device_lost", headers=BACKEND),
            ("admin", "device_lost"),
        ),
        (lambda device, client: sign_in_with(client)(1, role="admin").delete("/sessions/user/74"), ("admin", None)),
    ],
    ids=["user", "service", "admin"],
)
def test_who_caused_an_end_is_said_in_the_words_of_caep(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery], end: Any, said: tuple[str, str | None]
) -> None:
    delivery, client = start(events=["session.ended"]), app.test_client()
    end(sign_in_with(client)(), client)

    deliver_all(app, delivery)

    (ended,) = receiver.taken("mail")
    assert (ended.message["data"]["initiating_entity"], ended.message["data"]["because"]) == said


def test_a_timeout_is_by_the_system_and_a_purged_session_is_null(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(events=["session.ended"])
    sign_in_with(app.test_client())()
    for days in (60, 300):
        with app.app_context():
            *_, _done = purge(components_of(app).settings, now=utcnow() + timedelta(days=days), batch=10)

    deliver_all(app, delivery)

    (ended,) = receiver.taken("mail")
    data = ended.message["data"]
    assert (data["reason"], data["initiating_entity"], data["session"]) == ("idle", "system", None)
    assert (data["device_name"], data["user_id"]) == ("Chrome on Windows 10", 74)


def test_both_secrets_sign_while_one_replaces_the_other(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(previous_secret=OLD_SECRET)
    sign_in_with(app.test_client())()

    deliver_all(app, delivery)

    (attempt,) = receiver.attempts
    assert attempt.is_signed_with(OLD_SECRET)
    assert receiver.unsigned == []


def test_a_masked_address_is_masked_here_too(
    make_app: MakeApp, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    app = make_app(MASK_ADDRESSES=True)
    delivery = start()
    sign_in_with(app.test_client())()

    deliver_all(app, delivery)

    assert receiver.attempts[0].message["data"]["session"]["ip_address"] == "203.0.113.0"
