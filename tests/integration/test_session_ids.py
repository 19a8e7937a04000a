"""Ids ascend in the order of a user's sign-ins: the limit ends the session with the lowest one first."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from flask import Flask

from tests.harness.processes import wait_until
from tests.harness.support import USER, sign_in_with

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_id_is_taken_after_the_lock(app: Flask, database_url: str) -> None:
    """On SQLite the whole transaction is the lock."""
    sign_in = sign_in_with(app.test_client())
    sign_in(USER)
    plain_url = database_url.replace("+psycopg", "")

    with (
        psycopg.connect(plain_url) as holder,
        psycopg.connect(plain_url, autocommit=True) as other,
        ThreadPoolExecutor() as threads,
    ):
        holder.execute("SELECT 1 FROM session_owners WHERE user_id = %s FOR UPDATE", (str(USER),))
        waiting = threads.submit(sign_in, USER)
        wait_until(lambda: other.execute(WAITING).fetchone() == (1,), "the sign-in waits for the lock")
        taken_meanwhile = other.execute("SELECT nextval('sessions_id_seq')").fetchone()
        holder.commit()

    assert taken_meanwhile is not None
    assert waiting.result().id > taken_meanwhile[0]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_sequence_may_have_any_name(new_app: Flask, database_url: str) -> None:
    """A table `sessions` that was there before, and was renamed, keeps the name `sessions_id_seq`."""
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("ALTER SEQUENCE sessions_id_seq RENAME TO sessions_id_seq1")
        connection.execute("CREATE SEQUENCE sessions_id_seq START 1000000")
        try:
            assert sign_in_with(new_app.test_client())(USER).id < 1_000_000
        finally:  # later tests use the same database
            connection.execute("DROP SEQUENCE sessions_id_seq")
            connection.execute("ALTER SEQUENCE sessions_id_seq1 RENAME TO sessions_id_seq")
