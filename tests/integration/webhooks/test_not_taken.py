"""Webhooks that are not taken: repeated, parked, sent again; on both databases, to a receiver with faults."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from session_service.clock import utcnow
from session_service.webhooks.delivery import Delivery
from tests.harness.support import sign_in_with
from tests.harness.webhook_turns import deliver_all, end_pause, parked, state, webhooks
from tests.harness.webhooks import FAULTS, Receiver


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_not_taken_is_sent_again_with_the_same_id_before_the_next(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery], fault: str
) -> None:
    delivery = start(retry_seconds=[3_600])
    receiver.faults["mail"] = [fault]
    first, second = (sign_in_with(app.test_client())(user_id) for user_id in (74, 75))

    deliver_all(app, delivery)
    before = state(app)
    end_pause(app)
    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts] == [first.id, first.id, second.id]
    assert len({one.id for one in receiver.attempts}) == 2
    assert receiver.elsewhere == []
    assert before.last_error
    assert (before.failures, before.delivered_total, before.failed_total) == (1, 0, 1)
    after = state(app)
    assert (after.failures, after.last_error, after.delivered_total, after.failed_total) == (0, None, 2, 1)
    pause = before.next_attempt_at
    assert pause is not None
    assert timedelta(seconds=3_200) < pause - utcnow() < timedelta(seconds=4_000)


def test_an_answer_without_end_is_not_read_to_its_end(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(timeout_seconds=15)
    receiver.faults["mail"] = ["endless"]
    sign_in_with(app.test_client())()

    deliver_all(app, delivery, turns=1)

    assert state(app).delivered_total == 1


def test_after_the_last_attempt_an_event_is_parked_and_the_next_is_sent(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(retry_seconds=[3_600])
    receiver.faults["mail"] = ["500", "500"]
    first, second = (sign_in_with(app.test_client())(user_id) for user_id in (74, 75))

    deliver_all(app, delivery)
    end_pause(app)
    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts] == [first.id, first.id, second.id]
    assert parked(app) == {"mail": 1}
    code, said = webhooks(app, "status")
    assert code == 1
    assert "mail  behind 0 s  delivered 1  parked 1" in said
    metrics = app.test_client().get("/metrics").text
    assert 'session_service_webhook_parked{endpoint="mail"} 1.0' in metrics
    assert 'session_service_webhook_deliveries_total{endpoint="mail",outcome="failed"} 2.0' in metrics
    assert 'session_service_webhook_deliveries_total{endpoint="mail",outcome="parked"} 1.0' in metrics


def test_gone_parks_at_once_and_retry_sends_again(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start(retry_seconds=[3_600])
    receiver.faults["mail"] = ["410", "", "500"]
    first, second = (sign_in_with(app.test_client())(user_id) for user_id in (74, 75))
    deliver_all(app, delivery)
    assert parked(app) == {"mail": 1}

    assert webhooks(app, "retry", "mail") == (0, "parked events to be sent again: 1\n")
    deliver_all(app, delivery)
    assert parked(app) == {"mail": 1}  # a 500 this time
    webhooks(app, "retry", "mail")
    deliver_all(app, delivery)

    assert [one.message["data"]["session_id"] for one in receiver.attempts] == [first.id, second.id, first.id, first.id]
    assert parked(app) == {}
    assert webhooks(app, "status")[0] == 0
    assert webhooks(app, "retry", "nobody")[0] == 2


def test_replay_sends_everything_since_an_instant_with_the_same_ids(
    app: Flask, receiver: Receiver, start: Callable[..., Delivery]
) -> None:
    delivery = start()
    sign_in_with(app.test_client())(74)
    between = utcnow()
    sign_in_with(app.test_client())(75)
    sign_in_with(app.test_client())(76)
    deliver_all(app, delivery)
    ids = [one.id for one in receiver.taken("mail")]

    said = webhooks(app, "replay", "--since", between.isoformat())
    deliver_all(app, delivery)

    assert said == (0, "endpoints that begin again: mail\n")
    assert [one.id for one in receiver.taken("mail")] == [*ids, *ids[1:]]
    later = (utcnow() + timedelta(days=1)).isoformat()
    assert "none" in webhooks(app, "replay", "--since", later)[1]
    for bad in ("yesterday", "2025-02-08T16:00:00"):
        assert webhooks(app, "replay", "--since", bad)[0] == 2
    assert webhooks(app, "replay", "--since", later, "--endpoint", "nobody")[0] == 2
