"""A token that is seen for the first time by many at once: one session, one trace, and never too many sessions.

The detectors find planted faults under the same loads, as in `test_sign_in_races`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial

import pytest

from tests.harness.callers import TOKEN_NUMBERS, Caller, at_once, callers
from tests.harness.records import Faults, Records, faults_of_rows, said, watching
from tests.harness.reports import note
from tests.harness.servers import faulty
from tests.harness.sign_ins import LIMIT, Load
from tests.harness.support import IPHONE, USER, make_token


def first_sights(urls: Sequence[str], database_url: str, tokens: Sequence[str], **headers: str) -> tuple[Load, int]:
    """Check on *tokens* at once, each from an address of its own; return the load, and how many are remembered."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(
                closing(Caller(urls[number % len(urls)], token, **headers, **{"X-Forwarded-For": f"192.0.2.{number}"}))
            )
            for number, token in enumerate(tokens)
        ]
        records = stack.enter_context(closing(Records(database_url)))
        with watching(database_url) as watch:
            answers = at_once([partial(side.call, "GET", "/sessions/validate") for side in sides])
        (remembered,) = records.run("SELECT count(*) FROM session_tokens")
        load = Load(answers, records.rows(f"user_id = '{USER}'"), watch)
    note(f"{Counter((answer.status, answer.code) for answer in answers)}, {len(load.rows)} rows; {watch}")
    return load, int(remembered[0])


def faults_of_first_sights(load: Load) -> Faults:
    """Find a call that was refused, or that saw another session than the rest."""
    odd = [f"refused: {answer}" for answer in load.answers if answer.status != 200]
    seen = {answer.body.get("session_id") for answer in load.answers if answer.status == 200}
    return odd + ([f"{len(seen)} sessions for one token: {seen}"] if len(seen) != 1 else [])


def refreshed_at_once(urls: Sequence[str], database_url: str) -> tuple[Load, int]:
    with callers(urls, 1) as (device,):
        assert device.create("refreshed").status == 201
    return first_sights(urls, database_url, [make_token(USER, refreshed=next(TOKEN_NUMBERS))] * 32)


def test_32_first_requests_of_a_refreshed_token_leave_one_trace(urls: list[str], database_url: str) -> None:
    load, remembered = refreshed_at_once(urls, database_url)

    assert faults_of_first_sights(load) == []
    assert (len(load.rows), remembered) == (1, 2)


def test_tokens_that_are_remembered_without_looking_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "remembers tokens without looking") as urls:
        load, _ = refreshed_at_once(urls, database_url)

    assert said(faults_of_first_sights(load)) >= {"refused"}


ADOPTS = {"UNKNOWN_SESSION_POLICY": "adopt", "TRUSTED_PROXY_HOPS": "1"}


@pytest.fixture
def adopting(database_url: str, start_fleet: Callable[..., list[str]]) -> list[str]:
    """Return the addresses of two gunicorns that adopt sessions, on one database without rows."""
    return start_fleet(database_url, **ADOPTS)


def test_32_first_requests_of_one_token_adopt_one_session(adopting: list[str], database_url: str) -> None:
    """On a phone: the address of each is another one, and a computer elsewhere would be another device."""
    token = make_token(USER, refreshed=next(TOKEN_NUMBERS))
    load, remembered = first_sights(adopting, database_url, [token] * 32, **{"User-Agent": IPHONE})

    assert faults_of_first_sights(load) == []
    assert (len(load.rows), remembered) == (1, 1)


def test_sessions_that_are_adopted_outside_the_lock_would_be_noticed(database_url: str) -> None:
    token = make_token(USER, refreshed=next(TOKEN_NUMBERS))
    with faulty(database_url, "adopts outside the lock", **ADOPTS) as urls:
        load, _ = first_sights(urls, database_url, [token] * 32, **{"User-Agent": IPHONE})

    assert len(load.rows) > 1


def test_of_32_computers_whose_sessions_are_adopted_at_once_3_are_left(adopting: list[str], database_url: str) -> None:
    tokens = [make_token(USER, refreshed=next(TOKEN_NUMBERS)) for _ in range(32)]
    load, remembered = first_sights(adopting, database_url, tokens)

    assert Counter(answer.status for answer in load.answers) == {200: 32}
    assert faults_of_rows(load.rows) == []
    assert (len(load.rows), len(load.active), load.watch.most, remembered) == (32, LIMIT, LIMIT, 32)
