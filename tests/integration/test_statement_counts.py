"""How many statements a request costs: a change that adds one is to be noticed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask
from sqlalchemy import event

from session_service.database import prepared
from session_service.database.engine import db
from session_service.database.round_trip import Statement
from tests.harness.devices import OFFICE, device
from tests.harness.support import FIREFOX, IPHONE, MakeApp, SignIn, make_token, sign_in_with


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Collect the SQL statements that *app* sends."""
    seen: list[str] = []
    execute, run_one, run_together = psycopg.Cursor.execute, prepared.run_one, prepared.run_together

    def note_execute(cursor: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(statement)
        return execute(cursor, statement, *args, **kwargs)

    def note_one(driver: Any, statement: Statement, values: Any) -> Any:
        seen.append(statement.sql.decode())
        return run_one(driver, statement, values)

    def note_together(driver: Any, statements: list[tuple[Statement, Any]], **options: bool) -> Any:
        seen.extend(statement.sql.decode() for statement, _ in statements)
        return run_together(driver, statements, **options)

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    with pytest.MonkeyPatch.context() as patch:
        if engine.dialect.name == "postgresql":  # its driver is also asked without SQLAlchemy
            patch.setattr(psycopg.Cursor, "execute", note_execute)
            patch.setattr(prepared, "run_one", note_one)
            patch.setattr(prepared, "run_together", note_together)
        else:
            event.listen(engine, "before_cursor_execute", note)
        yield seen
    if engine.dialect.name != "postgresql":
        event.remove(engine, "before_cursor_execute", note)


def verbs(seen: list[str]) -> list[str]:
    """Return what each statement does; `BEGIN` and `COMMIT` are none, and not shown by both drivers."""
    return [verb for statement in seen if (verb := statement.split()[0]) not in {"BEGIN", "COMMIT"}]


def test_a_check_within_the_interval_is_one_statement_and_no_write(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        laptop = sign_in_with(app.test_client())()
        clock.shift(59)
        with statements(app) as seen:
            assert laptop.get("/sessions/validate").status_code == 200
        clock.shift(1)
        with statements(app) as when_due:
            assert laptop.get("/sessions/validate").status_code == 200

    assert verbs(seen) == ["SELECT"]
    assert verbs(when_due) == ["SELECT", "SELECT", "UPDATE"]  # not the plain yes, so Flask looks again


def test_a_list_within_the_interval_is_two_statements_and_no_write(make_app: MakeApp) -> None:
    laptop = sign_in_with((app := make_app(ACTIVITY_INTERVAL_SECONDS=60)).test_client())()

    with statements(app) as seen:
        laptop.get("/sessions/my-sessions")
    with statements(app) as with_ended:
        laptop.get("/sessions/my-sessions?include_inactive=true")

    assert verbs(seen) == ["SELECT"] * 2
    assert verbs(with_ended) == ["SELECT"] * 3


def test_a_sign_in_is_as_many_statements_as_it_needs(app: Flask, sign_in: SignIn) -> None:
    for agent in (IPHONE, FIREFOX):
        sign_in(user_agent=agent)
    looks = ["SELECT"] * 4  # the lock and the next id; the token's sessions, the last sign-ins, the user's sessions

    with statements(app) as free:
        sign_in()
    with statements(app) as evicting:
        sign_in(address=OFFICE)

    with app.app_context():  # the session, its token and its event are one statement on PostgreSQL
        creates = ["INSERT"] * 3 if db.engine.dialect.name == "sqlite" else ["WITH"]
    assert verbs(free) == [*looks, *creates]
    assert verbs(evicting) == [*looks, *creates, "UPDATE", "INSERT"]  # the end and its event


def test_a_refreshed_token_costs_one_look_and_one_write_once(make_app: MakeApp) -> None:
    app = make_app(ACTIVITY_INTERVAL_SECONDS=60)
    client = app.test_client()
    sign_in_with(client)()
    refreshed = device(client, make_token(n="refreshed"))

    with statements(app) as first:
        refreshed.get("/sessions/validate")
    with statements(app) as second:
        refreshed.get("/sessions/validate")

    assert verbs(first) == ["SELECT"] * 5 + ["INSERT"]  # found, and found again with the owner locked
    assert verbs(second) == ["SELECT"]
