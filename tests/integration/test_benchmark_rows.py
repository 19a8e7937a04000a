"""The rows that the benchmarks measure on are what the service would have written."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from flask import Flask

from benchmarks.people import DEVICES, NEW_USER_AGENTS, token_of
from benchmarks.seed import Bearer, Population, bearer_of, make_known, migrate, seed_service
from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.support import SECRET, settings

POPULATION = Population(users=50, ended_each=2)


@pytest.fixture
def seeded(new_database: Callable[[str], str]) -> Any:
    """Return an application with production's settings on seeded rows, whose newest sessions know their tokens."""
    url = new_database("postgresql")
    migrate(url, SECRET)
    seed_service(url, POPULATION)
    make_known(url, [newest(user_id) for user_id in range(1, POPULATION.users + 1)], SECRET)
    app = create_app(settings(DATABASE_URL=url, ACTIVITY_INTERVAL_SECONDS=60, MAX_SIGN_INS_PER_MINUTE=10))
    yield app
    with app.app_context():
        db.engine.dispose()


def newest(user_id: int) -> Bearer:
    return bearer_of(POPULATION, user_id, DEVICES - 1, SECRET)


def call(app: Flask, method: str, path: str, token: str, user_agent: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "User-Agent": user_agent}
    return app.test_client().open(path, method=method, headers=headers)


def test_every_seeded_session_is_found_by_its_token(seeded: Flask) -> None:
    for user_id in range(1, POPULATION.users + 1):
        bearer = newest(user_id)

        valid = call(seeded, "GET", "/sessions/validate", bearer.token, bearer.user_agent)
        mine = call(seeded, "GET", "/sessions/my-sessions", bearer.token, bearer.user_agent)

        assert (valid.status_code, valid.json["session_id"]) == (200, bearer.session_id)
        expected = {POPULATION.session_id(user_id, device) for device in range(DEVICES)}
        assert {session["id"] for session in mine.json} == expected
        assert [session["id"] for session in mine.json if session["is_current"]] == [bearer.session_id]


def test_a_sign_in_ends_the_oldest_of_the_three_and_takes_the_next_id(seeded: Flask) -> None:
    created = call(seeded, "POST", "/sessions/create", token_of(7, DEVICES, SECRET), NEW_USER_AGENTS[0])

    assert (created.status_code, created.json["id"]) == (201, POPULATION.rows + 1)
    (evicted,) = created.json["evicted"]
    assert (evicted["id"], evicted["end_reason"]) == (POPULATION.session_id(7, 0), "limit")


def test_seeded_users_signed_in_one_after_the_other(new_database: Callable[[str], str]) -> None:
    url = new_database("postgresql")
    migrate(url, SECRET)
    seed_service(url, replace(POPULATION, days_apart=1))

    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT created_at FROM sessions ORDER BY id").fetchall()

    gaps = {round((later - earlier).total_seconds(), 3) for (earlier,), (later,) in pairwise(found)}
    assert gaps == {86_400 / POPULATION.users}
