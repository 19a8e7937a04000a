"""The first statements of a connection: what goes wrong while they are prepared does not stay wrong."""

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.rows import missing_table
from tests.harness.support import make_token, settings, sign_in_with


@pytest.mark.parametrize("table", ["session_tokens", "session_events"])  # of the first round trip, and of the second
def test_a_table_that_is_back_can_be_used_at_once(new_app: Flask, table: str) -> None:
    client = new_app.test_client()
    headers = {"Authorization": f"Bearer {make_token(74)}"}

    with missing_table(new_app, table):
        meanwhile = [client.post("/sessions/create", headers=headers).status_code for _ in range(2)]

    assert meanwhile == [503, 503]
    assert client.post("/sessions/create", headers=headers).status_code == 201
    assert client.get("/sessions/my-sessions", headers=headers).status_code == 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_texts_are_stored_as_they_are_whatever_encoding_a_connection_asks_for(database_url: str) -> None:
    url = make_url(database_url).update_query_dict({"client_encoding": "latin1"}).render_as_string(hide_password=False)
    app = create_app(settings(DATABASE_URL=url, USER_ID_TYPE="string"))
    sign_in_with(app.test_client())("Zoë").get("/sessions/my-sessions")

    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        stored = connection.execute("SELECT DISTINCT user_id FROM sessions").fetchall()
    with app.app_context():
        read = db.session.execute(text("SELECT DISTINCT user_id FROM session_owners")).all()
    with app.app_context():
        db.engine.dispose()

    assert stored == [("Zoë",)]
    assert [tuple(row) for row in read] == [("Zoë",)]
