"""A receiver, and endpoints at it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from session_service.webhooks.delivery import Delivery
from session_service.webhooks.endpoints import load
from tests.harness.feed import CREDENTIALS
from tests.harness.support import MakeApp
from tests.harness.webhook_turns import delivery_of
from tests.harness.webhooks import Receiver, entry, receiving, write_file


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def app(make_app: MakeApp, receiver: Receiver, tmp_path: Path) -> Flask:
    file = write_file(tmp_path, entry(receiver, "mail"))
    return make_app(SERVICE_CREDENTIALS=CREDENTIALS, WEBHOOKS=file, EVENT_RETENTION_DAYS=400)


@pytest.fixture
def start(app: Flask, receiver: Receiver, tmp_path: Path) -> Callable[..., Delivery]:
    """Return a function that puts an endpoint on record, from the present position on."""

    def begin(name: str = "mail", **more: Any) -> Delivery:
        (endpoint,) = load(write_file(tmp_path, entry(receiver, name, **more)))
        return delivery_of(app, endpoint)

    return begin
