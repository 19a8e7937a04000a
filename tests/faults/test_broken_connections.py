"""Connections to PostgreSQL that broke, or whose prepared statements do: one refusal each, and then it goes on."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from session_service.app import create_app
from session_service.database import session_queries
from session_service.database.engine import db
from session_service.database.event_statements import CREATE
from session_service.database.transaction import execute, run_prepared, transaction
from session_service.errors import DatabaseUnavailable
from session_service.records import StoredSession
from tests.harness.outage import proxied
from tests.harness.postgres import PostgresServer
from tests.harness.support import IPHONE, make_token, settings, sign_in_with


def cut_off(server: PostgresServer) -> None:
    """End all connections of *server*."""
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def test_a_write_over_a_connection_that_just_broke_is_refused_as_any_other(server: PostgresServer) -> None:
    app = create_app(settings(DATABASE_URL=server.url, DATABASE_CONNECTIONS=1))
    client = app.test_client()
    sign_in_with(client)()

    cut_off(server)
    headers = {"Authorization": f"Bearer {make_token(74, n='again')}"}
    answers = [client.post("/sessions/create", headers=headers) for _ in range(2)]
    with app.app_context():
        db.engine.dispose()

    assert [answer.status_code for answer in answers] == [503, 201]
    assert answers[0].json["code"] == "database_unavailable"


def test_a_column_that_becomes_wider_costs_each_connection_one_request(server: PostgresServer) -> None:
    app = create_app(settings(DATABASE_URL=server.url, DATABASE_CONNECTIONS=1))
    client = app.test_client()
    device = sign_in_with(client)()
    headers = {"Authorization": f"Bearer {make_token(74, n='later')}"}
    with psycopg.connect(server.url, autocommit=True) as other:
        checks = [device.get("/sessions/validate")]
        for width in (256, 257):
            other.execute(f"ALTER TABLE sessions ALTER device_name TYPE varchar({width})")
            checks += [device.get("/sessions/validate") for _ in range(2)]
        other.execute("ALTER TABLE sessions ALTER device_name TYPE varchar(258)")
        sign_ins = [client.post("/sessions/create", headers=headers) for _ in range(2)]
        other.execute("ALTER TABLE sessions ALTER device_name TYPE varchar(255)")
    with app.app_context():
        db.engine.dispose()

    assert [answer.status_code for answer in checks] == [200, 503, 200, 503, 200]
    assert [answer.status_code for answer in sign_ins] == [503, 201]
    assert checks[1].json["code"] == "database_unavailable"


def test_a_refused_sign_in_leaves_what_was_prepared(server: PostgresServer) -> None:
    rules = {"MAX_SESSIONS_PER_USER": 1, "SESSION_LIMIT_POLICY": "reject"}
    app = create_app(settings(DATABASE_URL=server.url, DATABASE_CONNECTIONS=1, **rules))
    sign_in_with(app.test_client())(7_041)
    with app.app_context():
        before = prepared()
        headers = {"Authorization": f"Bearer {make_token(7_041, n='other')}", "User-Agent": IPHONE}
        assert app.test_client().post("/sessions/create", headers=headers).status_code == 409
        after = prepared()
        db.engine.dispose()

    assert before
    assert after >= before


def prepared() -> set[str]:
    """Return the names of what is prepared on the process' one connection."""
    with transaction():
        return set(execute(text("SELECT name FROM pg_prepared_statements")).scalars())


def test_where_one_connection_broke_the_others_are_asked_first(server: PostgresServer) -> None:
    with create_app(settings(DATABASE_URL=server.url)).app_context():
        with db.connections.one() as one, db.connections.one() as other:
            assert one.connection.driver_connection is not other.connection.driver_connection
        cut_off(server)

        with pytest.raises(DatabaseUnavailable), transaction():
            session_queries.get(2**40)
        for _ in range(3):
            with transaction():
                assert session_queries.get(2**40) is None
        db.engine.dispose()


def test_a_count_may_take_longer_than_a_request(server: PostgresServer) -> None:
    with create_app(settings(DATABASE_URL=server.url)).app_context():
        with transaction(takes_long=True):
            assert execute(text("SHOW statement_timeout")).scalar() == "0"
        with transaction():
            assert execute(text("SHOW statement_timeout")).scalar() == "2s"
        db.engine.dispose()


def test_nothing_of_a_row_is_in_the_stack_of_an_unexpected_error(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    with create_app(settings(DATABASE_URL=server.url)).app_context():
        nothing = dict.fromkeys([*StoredSession._fields, "session_id", "token_key", "until", "reason", "initiated_by"])
        with pytest.raises(IntegrityError) as caught, transaction(writes=True):
            run_prepared(CREATE, {**nothing, "device_name": "a-device"})
        db.engine.dispose()

    assert "a-device" not in str(caught.value).partition("DETAIL")[0] + str(caught.value).partition("[SQL")[2]


def test_a_command_ends_with_one_line_if_the_database_does_not_answer(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("session_service.database.transaction.COMMAND_TRANSACTION_SECONDS", 1.0)
    with proxied(server) as (proxy, through):
        run = create_app(settings(DATABASE_URL=through)).test_cli_runner().invoke
        assert run(args=["sessions", "list", "74"]).exit_code == 0
        proxy.mode = "swallow"
        printed = run(args=["sessions", "list", "74"])

    assert printed.exit_code == 1
    assert printed.output.strip().startswith("Error: The database did not answer: ")
