"""Deliveries within the test's process, turn by turn, and what is on record about them."""

from flask import Flask

from session_service.clock import utcnow
from session_service.database import parked_queries, webhook_queries
from session_service.database.transaction import transaction
from session_service.database.webhook_queries import EndpointState
from session_service.services.feed import behind_seconds
from session_service.webhooks.delivery import Delivery
from session_service.webhooks.endpoints import Endpoint
from tests.harness.processes import wait_until
from tests.harness.support import components_of


def delivery_of(app: Flask, endpoint: Endpoint, holder: str = "test") -> Delivery:
    delivery = Delivery(endpoint, components_of(app).settings, holder, lambda: False)
    with app.app_context():
        delivery.register()
    return delivery


def deliver_all(app: Flask, delivery: Delivery, turns: int = 3) -> None:
    """Let a delivery have some turns, without the pauses between them.

    Other tests' transactions on the same PostgreSQL may hold the events back for a moment.
    """
    with app.app_context():
        wait_until(lambda: behind_seconds(utcnow()) == 0, "all events can be read")
        for _ in range(turns):
            delivery.turn()


def state(app: Flask, name: str = "mail") -> EndpointState:
    with app.app_context(), transaction():
        found = webhook_queries.get_endpoint(name)
    assert found is not None
    return found


def end_pause(app: Flask, name: str = "mail") -> None:
    """Let the time pass until the next attempt."""
    with app.app_context(), transaction(writes=True):
        webhook_queries.attempt_now(name)


def parked(app: Flask) -> dict[str, int]:
    with app.app_context(), transaction():
        return parked_queries.count_parked()


def webhooks(app: Flask, *words: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["webhooks", *words])
    return result.exit_code, result.output
