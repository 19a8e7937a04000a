"""How the service tells how it is, on both databases and without one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from session_service.app import create_app
from session_service.clock import utcnow
from session_service.database.engine import db
from session_service.database.models import SCHEMA_REVISION
from tests.harness.support import MakeApp, make_token, settings, sign_in_with

NOWHERE = "postgresql://nobody:secret@127.0.0.1:9/nothing"


def set_revision(app: Flask, revision: str) -> None:
    with app.app_context():
        db.session.execute(text("UPDATE session_service_version SET version_num = :revision"), {"revision": revision})
        db.session.commit()


def test_it_is_healthy_and_ready(client: FlaskClient) -> None:
    healthy, ready = client.get("/healthz"), client.get("/readyz")

    assert (healthy.status_code, healthy.json) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json) == (200, {"status": "ready", "directory": "not configured", "warnings": []})


@pytest.mark.parametrize(("revision", "status"), [("0000", 503), ("9999", 200)])
def test_an_older_schema_is_not_ready_and_a_newer_one_is(app: Flask, revision: str, status: int) -> None:
    set_revision(app, revision)
    try:
        response = app.test_client().get("/readyz")
    finally:
        set_revision(app, SCHEMA_REVISION)

    assert response.status_code == status
    if status == 503:
        assert response.json["code"] == "not_ready"
        assert response.json["missing"] == [
            f"the database schema is at 0000, needed is {SCHEMA_REVISION}: run the migrations"
        ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_without_our_tables_is_not_ready(new_database: Callable[[str], str], kind: str) -> None:
    app = create_app(settings(DATABASE_URL=new_database(kind)))

    response = app.test_client().get("/readyz")
    with app.app_context():
        db.engine.dispose()

    assert (response.status_code, response.json["code"]) == (503, "not_ready")
    assert "run the migrations" in response.json["detail"]


def test_without_a_database_it_is_alive_and_says_no_more_than_it_must() -> None:
    client = create_app(settings(DATABASE_URL=NOWHERE)).test_client()

    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["missing"]) == (503, ["the database does not answer"])
    answer = client.get("/sessions/my-sessions", headers={"Authorization": f"Bearer {make_token()}"})
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "nobody" not in answer.text + ready.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/sessions/my-sessions", "/nothing"])
def test_nothing_is_cached_or_sniffed(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        assert response.headers.getlist("Cache-Control") == ["no-store"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_without_tables_every_call_is_503_on_both_databases(new_database: Callable[[str], str], kind: str) -> None:
    app = create_app(settings(DATABASE_URL=new_database(kind)))

    response = app.test_client().get("/sessions/my-sessions", headers={"Authorization": f"Bearer {make_token()}"})
    with app.app_context():
        db.engine.dispose()

    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")


@pytest.mark.parametrize(
    ("values", "is_warned"),
    [
        ({"RETENTION_DAYS": 7}, False),
        ({"RETENTION_DAYS": 6}, True),
        ({"RETENTION_DAYS": 6, "REVOKED_DEVICE_SECONDS": 6 * 86_400}, False),
        ({"RETENTION_DAYS": 6, "SESSION_IDLE_SECONDS": 3_600}, False),
        ({"RETENTION_DAYS": 6, "SESSION_IDLE_SECONDS": 0}, True),
    ],
)
def test_a_retention_that_forgets_ends_too_early_is_reported(
    make_app: MakeApp, values: dict[str, int], is_warned: bool
) -> None:
    response = make_app(**values).test_client().get("/readyz")

    assert (response.status_code, response.json["status"]) == (200, "ready")
    assert [warning.partition(" ")[0] for warning in response.json["warnings"]] == ["RETENTION_DAYS"] * is_warned


@pytest.mark.parametrize(("days", "is_warned"), [(29, True), (31, False)])
def test_tokens_that_outlive_the_retention_are_reported(make_app: MakeApp, days: int, is_warned: bool) -> None:
    client = make_app(RETENTION_DAYS=days).test_client()
    exp = int((utcnow() + timedelta(days=30)).timestamp())
    sign_in_with(client)(exp=exp)

    warnings = client.get("/readyz").json["warnings"]

    assert [warning.startswith("there are tokens that live longer") for warning in warnings] == [True] * is_warned
