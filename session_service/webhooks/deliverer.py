"""The process that delivers: a thread for each endpoint, until a signal stops it.

A slow endpoint keeps its own thread busy and no other. Several processes may run: each endpoint has one lease.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import uniform
from threading import Event, Thread
from types import FrameType
from uuid import uuid4

from flask import Flask

from session_service.config import Settings
from session_service.database.transaction import as_command
from session_service.errors import DatabaseUnavailable
from session_service.webhooks.delivery import Delivery
from session_service.webhooks.endpoints import Endpoint

DATABASE_PAUSE_SECONDS = 2.0
"""After the database did not answer."""

_log = logging.getLogger(__name__)


def deliver(
    app: Flask, settings: Settings, endpoints: tuple[Endpoint, ...], report: Callable[[list[Delivery]], None]
) -> None:
    """Deliver until SIGTERM or SIGINT; calls under way are finished, so that takes one call's time at most.

    Args:
        report: called once a second with the state of all endpoints.
    """
    stop = Event()
    holder = f"{socket.gethostname()[:20]}-{os.getpid()}-{uuid4().hex[:8]}"
    deliveries = [Delivery(endpoint, settings, holder, stop.is_set) for endpoint in endpoints]
    threads = [Thread(target=_run, args=(app, one, stop), name=one.endpoint.name) for one in deliveries]
    with _stopped_by_signals(stop):
        _log.info("webhooks_started", extra={"endpoints": [one.name for one in endpoints]})
        for thread in threads:
            thread.start()
        while not stop.wait(1.0):
            report(deliveries)
        for thread in threads:
            thread.join()
    report(deliveries)
    _log.info("webhooks_stopped")


def _run(app: Flask, delivery: Delivery, stop: Event) -> None:
    """Give one endpoint its turns."""
    is_registered, name = False, delivery.endpoint.name
    with app.app_context(), as_command():
        while not stop.is_set():
            try:
                if not is_registered:
                    delivery.register()
                    is_registered = True
                pause = delivery.turn()
            except DatabaseUnavailable as error:
                _log.warning("webhooks_wait_for_the_database", extra={"endpoint": name, "reason": str(error)})
                pause = DATABASE_PAUSE_SECONDS
            except Exception:
                # A fault of this service must not end one endpoint's thread while the process seems to work.
                _log.exception("webhooks_fault", extra={"endpoint": name})
                pause = DATABASE_PAUSE_SECONDS
            # Another process gets its chance to take the lease; many do not look at the same instant.
            stop.wait(uniform(0.8, 1.2) * pause if pause else uniform(0, 0.02))  # noqa: S311


@contextmanager
def _stopped_by_signals(stop: Event) -> Iterator[None]:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
