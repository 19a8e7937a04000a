"""How far an endpoint has been sent the events: leases, erasure, the purge, another database, what is forgotten."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from session_service.clock import utcnow
from session_service.database import webhook_queries
from session_service.database.transaction import transaction
from session_service.services.feed import behind_seconds
from session_service.services.personal_data import erase
from session_service.services.purge import purge
from session_service.webhooks.delivery import Delivery
from tests.harness.processes import wait_until
from tests.harness.support import MakeApp, components_of, sign_in_with
from tests.harness.webhook_turns import deliver_all, delivery_of, parked, state, webhooks
from tests.harness.webhooks import Receiver


def test_a_new_endpoint_begins_at_the_present_position(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    sign_in_with(app.test_client())(74)
    with app.app_context():  # transactions of other tests on the same server may hold its event back
        wait_until(lambda: behind_seconds(utcnow()) == 0.0, "the event can be read")
    delivery = start()
    later = sign_in_with(app.test_client())(75)

    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts] == [later.id]


def test_only_one_process_sends_to_an_endpoint_and_one_that_lost_its_lease_moves_nothing(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    first = start()
    second = delivery_of(app, first.endpoint, holder="other")
    sign_in_with(app.test_client())()
    before = state(app)
    with app.app_context(), transaction(writes=True):
        assert webhook_queries.take_lease("mail", "test", 60, utcnow()) is not None
        assert webhook_queries.take_lease("mail", "other", 60, utcnow()) is None
        assert not webhook_queries.mark_skipped("mail", "other", (2**61, 1))

    deliver_all(app, second)
    assert receiver.attempts == []
    assert (state(app).xact, state(app).event_id) == (before.xact, before.event_id)

    with app.app_context(), transaction(writes=True):
        webhook_queries.release_lease("mail", "other")  # it has none
        assert webhook_queries.take_lease("mail", "other", 60, utcnow()) is None
        webhook_queries.release_lease("mail", "test")
    deliver_all(app, second)
    assert len(receiver.taken("mail")) == 1


def test_an_erased_user_is_not_sent_and_no_longer_parked(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(retry_seconds=[])
    receiver.faults["mail"] = ["500"]
    sign_in_with(app.test_client())(74)
    deliver_all(app, delivery)
    sign_in_with(app.test_client())(74)
    assert parked(app) == {"mail": 1}

    with app.app_context():
        erase("74", now=utcnow())
    webhooks(app, "retry", "mail")
    deliver_all(app, delivery)

    assert (len(receiver.attempts), parked(app)) == (1, {})
    assert "behind 0 s" in webhooks(app, "status")[1]


def test_events_that_were_purged_before_they_were_sent_are_counted_and_the_rest_is_sent(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    delivery = start(events=["session.created"])
    sign_in_with(app.test_client())(74)
    with app.app_context():
        *_, _done = purge(components_of(app).settings, now=utcnow() + timedelta(days=401), batch=10)
    later = sign_in_with(app.test_client())(75)

    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts] == [later.id]
    assert state(app).missed_total == 1
    assert "webhook_events_missed" in caplog.text
    assert "purged, 1 times" in webhooks(app, "status")[1]


def test_a_position_of_another_database_is_left(app: Flask, receiver: Receiver, start: Callable[..., Delivery]) -> None:
    delivery = start()
    sign_in_with(app.test_client())(74)
    deliver_all(app, delivery)
    with app.app_context(), transaction(writes=True):
        webhook_queries.take_lease("mail", "test", 60, utcnow())
        webhook_queries.mark_skipped("mail", "test", (9 * 10**17, 9 * 10**17))
    deliver_all(app, delivery)
    later = sign_in_with(app.test_client())(75)
    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts][1:] == [later.id]
    assert state(app).missed_total == 1


def test_an_address_that_is_not_public_is_not_called(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    port = receiver.url.rpartition(":")[2]
    delivery = start(allow_private=False, url=f"https://localhost:{port}/mail")
    sign_in_with(app.test_client())()

    deliver_all(app, delivery)

    assert receiver.attempts == []
    assert "not public" in (state(app).last_error or "")


def test_an_endpoint_that_left_the_file_can_be_forgotten(
    app: Flask, start: Callable[..., Delivery], tmp_path: Path
) -> None:
    start("old")
    file = json.loads((tmp_path / "webhooks.json").read_text())
    file["endpoints"][0]["name"] = "mail"
    (tmp_path / "webhooks.json").write_text(json.dumps(file))

    code, said = webhooks(app, "status")

    assert "old (not in the file)" in said
    assert "mail  never delivered to" in said
    assert webhooks(app, "forget", "mail")[0] == 2
    assert webhooks(app, "forget", "old") == (0, "old is forgotten\n")
    assert webhooks(app, "forget", "old")[0] == 2
    assert code == 0


def test_without_the_setting_the_commands_say_so(make_app: MakeApp) -> None:
    code, said = webhooks(make_app(), "status")

    assert (code, "WEBHOOKS is not set" in said) == (1, True)
