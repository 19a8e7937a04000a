"""Tokens that are already out find their imported sessions, by device, `sid` or `jti`; ended ones refuse them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from session_service.app import create_app
from session_service.clock import utcnow
from session_service.database.engine import db
from tests.harness.commands import command
from tests.harness.imports import ADDRESS, import_file, row_of, write_jsonl
from tests.harness.purge_rows import left
from tests.harness.support import CHROME, FIREFOX, MakeApp, body, make_token, settings, sign_in_with


@pytest.fixture
def imported(make_app: MakeApp, tmp_path: Path) -> Any:
    """Return a function that imports rows with the settings given, and returns the application."""

    def run(*rows: dict[str, Any], words: tuple[str, ...] = (), **settings: Any) -> Flask:
        app = make_app(**settings)
        assert import_file(app, write_jsonl(tmp_path / "rows.jsonl", rows), *words)[0] == 0
        return app

    return run


def validate(app: Flask, *, agent: str = CHROME, address: str = ADDRESS, **claims: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {make_token(**claims)}", "User-Agent": agent}
    response = app.test_client().get("/sessions/validate", headers=headers, environ_base={"REMOTE_ADDR": address})
    return response.status_code, body(response)


def only_id(app: Flask) -> int:
    with app.app_context():
        (session,) = left()
    return session


@pytest.mark.parametrize("policy", ["reject", "allow", "adopt"])
def test_an_old_token_of_the_same_device_finds_the_imported_session(imported: Any, policy: str) -> None:
    app = imported(row_of(1), UNKNOWN_SESSION_POLICY=policy)

    status, answer = validate(app)

    assert (status, answer["session_id"]) == (200, only_id(app))


def test_another_device_finds_none_and_elsewhere_only_adopt_wants_the_same_address(imported: Any) -> None:
    app = imported(row_of(1))
    known = only_id(app)

    elsewhere, other = validate(app, address="198.51.100.9"), validate(app, agent=FIREFOX, n=1)
    adopting = imported(row_of(1), UNKNOWN_SESSION_POLICY="adopt")
    moved = validate(adopting, address="198.51.100.10", n=2)

    assert (elsewhere[0], elsewhere[1]["session_id"]) == (200, known)
    assert (other[0], other[1]["code"]) == (401, "session_unknown")
    assert (moved[0], moved[1]["session_id"] > known) == (200, True)


def test_a_token_finds_its_session_by_sid_alone(imported: Any) -> None:
    app = imported(row_of(1, sid="s-1"), row_of(2, sid="s-2", is_active=False))
    with app.app_context():
        first, second = left().values()

    found, ended, unknown = (validate(app, agent=FIREFOX, sid=sid) for sid in ("s-1", "s-2", "s-3"))

    assert (found[0], found[1]["session_id"]) == (200, first.id)
    assert (ended[0], ended[1]["code"], ended[1]["end_reason"]) == (401, "session_ended", "logout")
    assert unknown[1]["code"] == "session_unknown"
    assert second.sid == "s-2"


def test_a_token_finds_its_session_by_its_jti(imported: Any) -> None:
    app = imported(row_of(1, jti="j-1"), row_of(2, jti="j-2", is_active=False))
    with app.app_context():
        first, _ = left().values()

    found, ended = (validate(app, agent=FIREFOX, jti=jti) for jti in ("j-1", "j-2"))

    assert (found[0], found[1]["session_id"]) == (200, first.id)
    assert (ended[0], ended[1]["code"]) == (401, "session_ended")


@pytest.mark.parametrize(("ended_as", "code"), [("logout", "session_unknown"), ("revoked", "session_ended")])
def test_what_an_old_token_of_an_ended_row_gets_is_the_operators_choice(
    imported: Any, ended_as: str, code: str
) -> None:
    app = imported(row_of(1, is_active=False), words=("--ended-as", ended_as))

    assert validate(app)[1]["code"] == code


def test_a_sign_in_replaces_the_imported_session_of_its_device_and_the_limit_counts_the_others(imported: Any) -> None:
    rows = [row_of(number, days_ago=6 - number, user_agent=agent) for number, agent in enumerate((CHROME, FIREFOX))]
    more = [row_of(5, days_ago=1, ip_address="198.51.100.9"), row_of(6, days_ago=2, ip_address="198.51.100.10")]
    app = imported(*rows, *more, MAX_SESSIONS_PER_USER=3)
    with app.app_context():
        before = {one.created_at: one.id for one in left().values()}
    oldest_first = [before[at] for at in sorted(before)]

    device = sign_in_with(app.test_client())(body={"device_fingerprint": row_of(1)["device_fingerprint"]})

    with app.app_context():
        reasons = {one.id: one.end_reason for one in left().values()}
    assert len(before) == 4
    assert reasons[oldest_first[0]] == "replaced"
    assert list(reasons.values()).count("limit") == 1
    assert reasons[device.id] is None
    known = device.get("/sessions/my-sessions").json
    assert {one["id"] for one in known} == {number for number, reason in reasons.items() if reason is None}


def test_a_new_sign_in_on_an_imported_device_is_not_a_new_device(imported: Any) -> None:
    app = imported(row_of(1))
    sign_in_with(app.test_client())(body={"device_fingerprint": row_of(1)["device_fingerprint"]})
    sign_in_with(app.test_client())(user_agent=FIREFOX)

    with app.app_context(), db.engine.connect() as connection:
        new = connection.execute(
            text("SELECT is_new_device FROM session_events WHERE what = 'created' ORDER BY id")
        ).scalars()
        assert [bool(one) for one in new] == [False, True]


def test_what_is_remembered_of_an_import_is_exported_erased_and_purged(imported: Any, tmp_path: Path) -> None:
    app = imported(row_of(1), row_of(2, 75, user_agent=FIREFOX), RETENTION_DAYS=1, SESSION_LIFETIME_SECONDS=5 * 86_400)

    def remembered() -> list[str]:
        with app.app_context(), db.engine.connect() as connection:
            return list(connection.execute(text("SELECT source_id FROM imported_sessions ORDER BY 1")).scalars())

    exported = command(app, "export", "74")[1]
    assert '"kind": "imported_from", "source": "application", "source_id": "1"' in exported
    assert remembered() == ["1", "2"]
    command(app, "erase", "74", "--yes")
    assert remembered() == ["2"]
    command(app, "purge")
    assert remembered() == ["2"]
    with app.app_context(), db.engine.begin() as connection:
        gone = text("UPDATE imported_sessions SET expires_at = :at").bindparams(at=utcnow() - timedelta(days=2))
        connection.execute(gone)
    command(app, "purge", "--batch", "1")
    assert remembered() == []


def test_without_an_answer_of_the_database_an_import_is_one_line(tmp_path: Path) -> None:
    nowhere = create_app(settings(DATABASE_URL="postgresql://somebody:pw-in-url@127.0.0.1:9/nothing"))

    done = command(nowhere, "import", str(write_jsonl(tmp_path / "rows.jsonl", [row_of(1)])))

    assert (done[0], done[1], done[2].count("\n")) == (1, "", 1)
    assert "The database did not answer" in done[2]
    assert "pw-in-url" not in done[2]
