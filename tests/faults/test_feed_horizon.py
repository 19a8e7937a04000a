"""The feed beside transactions that are under way, which only PostgreSQL has."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from session_service.app import create_app
from session_service.clock import utcnow
from session_service.database.engine import db
from session_service.services import feed
from session_service.services.purge import purge
from tests.harness.feed import BACKEND, CREDENTIALS, Reader, under_way
from tests.harness.postgres import PostgresServer
from tests.harness.support import components_of, settings, sign_in_with

DAY = timedelta(days=1)


@pytest.fixture
def app(server: PostgresServer) -> Iterator[Flask]:
    app = create_app(settings(DATABASE_URL=server.url, SERVICE_CREDENTIALS=CREDENTIALS))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def reader(app: Flask) -> Reader:
    return Reader(app.test_client())


def test_an_event_behind_a_transaction_under_way_is_told_later_and_the_answer_says_so(
    app: Flask, reader: Reader
) -> None:
    client = app.test_client()
    with app.app_context():
        engine = create_engine(db.engine.url)
        before = feed.behind_seconds(utcnow())
    with under_way(engine):
        device = sign_in_with(client)(101)
        held_back = reader.read()
        with app.app_context():
            behind = feed.behind_seconds(utcnow() + DAY)
    engine.dispose()

    assert (held_back["events"], held_back["complete"]) == ([], False)
    assert (before, behind > 86_000) == (0.0, True)
    assert reader.events() == [("session.created", device.id, "sign_in")]


def test_a_transaction_under_way_that_is_older_than_nothing_makes_no_difference(app: Flask, reader: Reader) -> None:
    device = sign_in_with(app.test_client())(102)
    with app.app_context():
        engine = create_engine(db.engine.url)
    with under_way(engine):
        assert reader.events() == [("session.created", device.id, "sign_in")]
    engine.dispose()


def test_events_of_another_cluster_are_forgotten_by_the_purge(app: Flask, reader: Reader) -> None:
    sign_in = sign_in_with(app.test_client())
    sign_in(110)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE session_events SET xact = xact + 1000000000"))
        connection.execute(text("UPDATE purged_events SET xact = 1000000000000"))
    assert (
        app.test_client().get(f"/sessions/feed?after={reader.position}", headers=BACKEND).json["code"]
        == "feed_position_gone"
    )

    with app.app_context():
        *_, _done = purge(components_of(app).settings, now=utcnow(), batch=10)
    anew = Reader(app.test_client())
    device = sign_in(111)

    assert anew.events() == [("session.created", device.id, "sign_in")]
