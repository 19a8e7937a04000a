"""`kill -9` among deliverers, and receivers with faults: each event arrives, in order, signed, never side by side.

The detector is `faults_in`. What shows that it would notice: messages that were tampered with, and a deliverer that
moves its position before the answer.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import Popen
from threading import Thread
from time import monotonic, sleep

import pytest
from flask import Flask

from tests.harness.options import Numbers
from tests.harness.processes import wait_until
from tests.harness.reports import note
from tests.harness.support import MakeApp
from tests.harness.webhook_loads import add_events, deliverer, event_ids, faults_in, start_deliverer
from tests.harness.webhooks import Attempt, Receiver, entry, receiving, write_file

DELIVERERS = 2


class Deliverers:
    """Deliverers of one file. A killed one is replaced."""

    def __init__(self, start: Callable[[], "Popen[bytes]"]) -> None:
        self._start = start
        self.running = [start() for _ in range(DELIVERERS)]
        self.kills = 0

    def kill_one(self) -> None:
        victim = self.running.pop(random.randrange(len(self.running)))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        self.kills += 1
        self.running.append(self._start())

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def register(app: Flask, database_url: str, file: str, names: list[str]) -> None:
    """Let endpoints begin before the first event."""
    with deliverer(database_url, file):
        wait_until(lambda: all(f'endpoint="{name}"' in metrics(app) for name in names), "the endpoints are on record")


def metrics(app: Flask) -> str:
    return str(app.test_client().get("/metrics").text)


def attempts_of(receiver: Receiver, name: str) -> list[Attempt]:
    return [one for one in list(receiver.attempts) if one.endpoint == name]


def test_no_event_is_lost_reordered_or_sent_side_by_side(
    make_app: MakeApp, database_url: str, receiver: Receiver, tmp_path: Path, numbers: Numbers
) -> None:
    app, began_at = make_app(), monotonic()
    receiver.fault_rate = {"faulty": 0.02, "slow": 0.0, "steady": 0.0}
    names = list(receiver.fault_rate)
    file = write_file(tmp_path, *(entry(receiver, name) for name in names))
    register(app, database_url, file, names)
    writer = Thread(target=add_events, args=(app, numbers.webhook_events))
    deliverers = Deliverers(lambda: start_deliverer(database_url, file))
    try:
        writer.start()
        wait_until(lambda: len(receiver.attempts) > 10, "deliveries have begun")
        # Half of the kills while events are written, the others while they are only delivered.
        kills = max(3, numbers.webhook_events // 400)
        for _ in range(kills):
            before = len(receiver.attempts)
            wait_until(partial(has_more, receiver, before), "there are more deliveries", seconds=120)
            sleep(random.uniform(0, 0.05))  # the kill is to come at any point of a delivery
            deliverers.kill_one()
        writer.join()
        wait_until(lambda: done(receiver, app, names), "all events have been delivered", seconds=600)
    finally:
        writer.join()
        deliverers.stop()

    expected = event_ids(app)
    assert len(expected) == numbers.webhook_events
    for name in names:
        assert faults_in(attempts_of(receiver, name), expected) == set(), name
    assert receiver.unsigned == []
    assert receiver.elsewhere == []
    refused = [one for one in receiver.attempts if one.fault]
    repeated = sum(len(receiver.taken(name)) - len(expected) for name in names)
    note(
        f"{len(expected)} events to {len(names)} endpoints in {monotonic() - began_at:.0f} s,"
        f" {deliverers.kills} kills, {len(refused)} faults, {repeated} events twice"
    )


def has_more(receiver: Receiver, than: int) -> bool:
    return len(receiver.attempts) > than + 20


def done(receiver: Receiver, app: Flask, names: list[str]) -> bool:
    """Return whether each endpoint has taken the last event."""
    expected = event_ids(app)
    return bool(expected) and all({one.id for one in receiver.taken(name)} >= set(expected) for name in names)


def test_a_slow_endpoint_slows_only_itself(
    make_app: MakeApp, database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    app = make_app()
    receiver.faults["slow"] = ["silence"] * 100
    file = write_file(tmp_path, entry(receiver, "slow", timeout_seconds=5), entry(receiver, "steady"))
    register(app, database_url, file, ["slow", "steady"])
    with deliverer(database_url, file):
        add_events(app, 20)
        wait_until(lambda: len(receiver.taken("steady")) == 20, "the other endpoint has all events", seconds=60)

    # One call of 5 seconds was under way, or two.
    assert len(attempts_of(receiver, "slow")) <= 3


def test_a_deliverer_that_is_told_to_stop_finishes_its_call_and_gives_the_endpoint_back(
    make_app: MakeApp, database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    app = make_app()
    file = write_file(tmp_path, entry(receiver, "mail", timeout_seconds=15))
    register(app, database_url, file, ["mail"])
    receiver.faults["mail"] = ["late"]
    with deliverer(database_url, file) as process:
        add_events(app, 2)
        wait_until(lambda: len(receiver.attempts) == 1, "a call is under way")
        process.terminate()
        receiver.go_on.set()
        assert process.wait(20) == 0
    assert len(receiver.attempts) == 1

    stopped_at = monotonic()
    with deliverer(database_url, file):
        wait_until(lambda: len(receiver.attempts) == 2, "the next event is sent")
    # Not the lease's 20 seconds, which it would be after a kill; a start takes some.
    assert monotonic() - stopped_at < 15
    assert faults_in([replace(one, fault=None) for one in receiver.attempts], event_ids(app)) == set()


def test_a_deliverer_that_moves_its_position_before_the_answer_is_noticed(
    make_app: MakeApp, database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    app = make_app()
    file = write_file(tmp_path, entry(receiver, "mail"))
    register(app, database_url, file, ["mail"])
    add_events(app, 50)
    receiver.faults["mail"] = ["", "silence", "", ""]
    with ExitStack() as stack:
        wrong = start_deliverer(database_url, file, "tests.harness.faulty_webhooks:app")
        stack.callback(wrong.wait)
        stack.callback(wrong.kill)
        wait_until(lambda: len(receiver.attempts) == 2, "the second call is under way")
        wrong.kill()
        wrong.wait()
        receiver.faults["mail"] = []
        with deliverer(database_url, file):
            wait_until(lambda: event_ids(app)[-1] in {one.id for one in receiver.taken("mail")}, "the last event")

    assert faults_in(attempts_of(receiver, "mail"), event_ids(app)) == {"lost", "out of order"}


def test_what_is_wrong_with_messages_would_be_noticed() -> None:
    def attempt(number: int, began_at: float, **more: object) -> Attempt:
        body = f'{{"id": {more.pop("inside", number)}}}'.encode()
        headers = {"webhook-id": str(number)}
        ended_at = float(str(more.pop("ended_at", began_at + 0.1)))
        return Attempt("mail", headers, body, None, began_at, ended_at)

    good = [attempt(7, 0), attempt(7, 10), attempt(3, 20), attempt(9, 30)]

    assert faults_in(good, [7, 3, 9]) == set()
    assert faults_in(good[:-1], [7, 3, 9]) == {"lost"}
    assert faults_in([good[0], good[3], good[2]], [7, 3, 9]) == {"out of order"}
    assert faults_in([*good, attempt(7, 40)], [7, 3, 9]) == {"out of order"}
    assert faults_in([*good[:-1], attempt(9, 30, inside=8)], [7, 3, 9]) == {"another id"}
    assert faults_in([*good[:-1], attempt(9, 19, ended_at=40)], [7, 3, 9]) == {"side by side"}
    assert faults_in([*good, attempt(11, 40)], [7, 3, 9]) >= {"unknown"}
