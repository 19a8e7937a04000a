"""Signing in while all sessions of that user are erased or purged, again and again: the device limit holds."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event, Thread

import pytest
from flask import Flask

from session_service.clock import utcnow
from session_service.errors import DatabaseUnavailable
from session_service.services.personal_data import erase
from session_service.services.purge import purge
from tests.harness.callers import Answer
from tests.harness.commands import command
from tests.harness.people import dump
from tests.harness.records import Faults, said
from tests.harness.reports import note
from tests.harness.servers import faulty
from tests.harness.sign_ins import LIMIT, creates_at_once
from tests.harness.support import USER, components_of


def erase_user(_app: Flask) -> int:
    return erase(str(USER), now=utcnow()).sessions


def erase_user_or_deadlock(app: Flask) -> int:
    """Do the same beside sign-ins that do not wait for its lock: they may wait for each other's rows."""
    try:
        return erase_user(app)
    except DatabaseUnavailable:
        return 0


def purge_all(app: Flask) -> int:
    """Purge by a clock that is far ahead; return how many sessions that removed."""
    rules = replace(components_of(app).settings, RETENTION_DAYS=0)
    *_, done = purge(rules, now=datetime(2100, 1, 1, tzinfo=UTC), batch=100)
    return done.sessions


@contextmanager
def over_and_over(app: Flask, remove: Callable[[Flask], int]) -> Iterator[list[int]]:
    """Remove what there is of a user, again and again until the caller is done; collect how many sessions that were."""
    removed: list[int] = []
    done = Event()

    def work() -> None:
        with app.app_context():
            # Others want the lock too, and SQLite gives it to nobody in turn.
            while not done.wait(0.01):
                removed.append(remove(app))

    thread = Thread(target=work)
    thread.start()
    try:
        yield removed
    finally:
        done.set()
        thread.join()


def signing_in_while_removed(
    urls: Sequence[str], app: Flask, database_url: str, remove: Callable[[Flask], int]
) -> tuple[list[Answer], Faults]:
    """Sign a user in 32 times at once, in each of three rounds, while all of that user is removed again and again."""
    with over_and_over(app, remove) as removed:
        loads = [creates_at_once(urls, database_url, 32) for _ in range(3)]
    most = max(load.watch.most for load in loads)
    faults = [f"over the limit: {most} at once"] if most > LIMIT else []
    met = sum(bool(one) for one in removed)
    note(f"removed something {met} times of {len(removed)}")
    assert met >= 3, "they did not meet"
    return [answer for load in loads for answer in load.answers], faults


@pytest.mark.parametrize("remove", [erase_user, purge_all])
def test_the_device_limit_holds_while_its_user_is_removed(
    app: Flask, urls: list[str], database_url: str, remove: Callable[[Flask], int]
) -> None:
    answers, faults = signing_in_while_removed(urls, app, database_url, remove)

    assert Counter(answer.status for answer in answers) == {201: 96}
    assert faults == []
    assert command(app, "erase", str(USER), "--yes")[0] == 0
    assert dump(app).count(f"'{USER}'") == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_owner_who_is_locked_after_being_erased_would_be_noticed(app: Flask, database_url: str) -> None:
    """On SQLite the transaction is the lock, whatever rows there are."""
    with faulty(database_url, "locks an owner who may be gone") as urls:
        _, faults = signing_in_while_removed(urls, app, database_url, erase_user_or_deadlock)

    assert said(faults) == {"over the limit"}
