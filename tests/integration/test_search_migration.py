"""Migration 0009 builds indexes on a table in use: nobody waits for it, and an interrupted build is made good."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.processes import wait_until
from tests.harness.support import settings

INSERT = (
    "INSERT INTO sessions (user_id, device_key, device_name, device_type, browser, ip_source, created_at,"
    " last_activity, expires_at) VALUES ('1', '', '', 'web', '', 'observed', now(), now(), now())"
)
INDEXES = """
    SELECT relname FROM pg_class JOIN pg_index ON pg_index.indexrelid = pg_class.oid
    WHERE indrelid = 'sessions'::regclass AND indisvalid
"""
NEW = {"ix_sessions_network_id", "ix_sessions_created_at_id", "ix_sessions_ended_at_id"}


@pytest.fixture
def before(new_database: Callable[[str], str]) -> Iterator[tuple[Flask, str]]:
    """Return an application on a PostgreSQL database with the tables of the migration before."""
    url = new_database("postgresql")
    app = create_app(settings(DATABASE_URL=url))
    with app.app_context():
        upgrade(revision="0008")
        yield app, url
        db.engine.dispose()


def indexes(connection: psycopg.Connection[tuple[str]]) -> set[str]:
    return {name for (name,) in connection.execute(INDEXES)}


def test_sign_ins_go_on_while_the_indexes_are_built(before: tuple[Flask, str]) -> None:
    app, url = before

    def migrate() -> None:
        with app.app_context():
            upgrade()

    building = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONC%'"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(url, autocommit=True, options="-c lock_timeout=5s") as watcher,
        psycopg.connect(url) as elsewhere,
    ):
        elsewhere.execute(INSERT)  # a transaction under way, for which a build must wait
        migrating = pool.submit(migrate)
        wait_until(lambda: watcher.execute(building).fetchone() is not None, "an index is being built")
        watcher.execute(INSERT)
        watcher.execute("UPDATE sessions SET last_activity = now()")
        is_done_too_early = migrating.done()
        elsewhere.commit()
        migrating.result(timeout=60)

        assert not is_done_too_early
        assert indexes(watcher) >= NEW
        assert "ix_sessions_ended" not in indexes(watcher)


def test_what_an_interrupted_build_leaves_is_replaced(before: tuple[Flask, str]) -> None:
    _, url = before
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE INDEX ix_sessions_network_id ON sessions (browser)")
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_sessions_network_id'::regclass"
        )

        upgrade()
        definition = connection.execute("SELECT pg_get_indexdef('ix_sessions_network_id'::regclass)").fetchone()

        assert definition is not None
        assert definition[0].endswith("(network, id)")
        assert indexes(connection) >= NEW


def test_back_and_forth_leaves_the_indexes_of_each_step(before: tuple[Flask, str]) -> None:
    _, url = before
    with psycopg.connect(url, autocommit=True) as connection:
        old = indexes(connection)
        upgrade()
        new = indexes(connection)
        downgrade(revision="0008")

        assert indexes(connection) == old
        assert (old - new, new - old) == ({"ix_sessions_ended"}, NEW)
