"""`sessions search` and `sessions end --where`: all pages, a count first, and an end that is counted."""

import json
from collections.abc import Iterator

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from session_service import search_commands
from session_service.database.transaction import execute, transaction
from session_service.services import purge
from tests.harness.commands import command
from tests.harness.people import dump
from tests.harness.purge_rows import NOON, left, put
from tests.harness.support import SignIn

HERE = "network=203.0.113.7/32"


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    """Let the commands run when the rows are active."""
    with time_machine.travel(NOON, tick=False):
        yield


def put_sessions(app: Flask, number: int = 5) -> list[int]:
    with app.app_context():
        return [put(one, user_id=str(70 + one), network="203.0.113.7/32") for one in range(number)]


def test_a_search_prints_all_pages_newest_first(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_commands, "PAGE", 2)
    ids = put_sessions(app)

    lines = command(app, "search", "--where", HERE, "--where", "active=true")
    as_json = command(app, "search", "--where", HERE, "--json")
    nothing = command(app, "search", "--where", "user_id=999")

    assert (lines[0], lines[2]) == (0, "")
    assert [line.split()[:3] for line in lines[1].splitlines()] == [
        ["user", str(70 + number), str(ids[number])] for number in range(4, -1, -1)
    ]
    assert [json.loads(line)["id"] for line in as_json[1].splitlines()] == ids[::-1]
    assert json.loads(as_json[1].splitlines()[0])["created_at"] == "2026-02-08T12:00:00Z"
    assert nothing == (0, "", "no sessions\n")


def test_an_end_is_a_dry_run_until_it_is_confirmed(app: Flask) -> None:
    ids = put_sessions(app)
    before = dump(app)

    counted = command(app, "end", "--where", HERE)
    more = command(app, "end", "--where", HERE, "--expected", "4", "--yes")
    unchanged = dump(app)
    ended = command(app, "end", "--where", HERE, "--expected", "5", "--yes", "--because", "security")
    again = command(app, "end", "--where", HERE, "--yes")

    assert counted == (2, "", "would end 5 sessions; repeat with --expected 5 --yes to end them\n")
    assert (more[0], more[1]) == (1, "")
    assert "5 sessions would end now, more than the 4 that were expected; none was ended" in more[2]
    assert unchanged == before
    assert (ended, again) == ((0, "sessions ended: 5\n", ""), (0, "sessions ended: 0\n", ""))
    with app.app_context():
        rows = left()
        assert {(rows[one].end_reason, rows[one].ended_by, rows[one].because) for one in ids} == {
            ("admin", "service:cli", "security")
        }
        assert purge.totals()[1] == {"admin": 5}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("search",), "at least one of user_id"),
        (("search", "--where", "os=iOS"), "at least one of user_id"),
        (("search", "--where", "user_id"), "must be NAME=VALUE"),
        (("search", "--where", "user_id=1", "--where", "user_id=2"), "each name once"),
        (("search", "--where", "user_id=x"), "user_id: Not a user id."),
        (("search", "--where", "colour=red"), "No such criterion"),
        (("end", "--where", "user_id=1", "--user", "1"), "give one of --user, --session and --where"),
        (("end", "--user", "1", "--yes"), "--expected and --yes go with --where"),
        (("end", "--session", "1", "--because", "security"), "--because does not go with --session"),
        (("end", "--where", "active=true", "--yes"), "at least one of user_id"),
    ],
)
def test_commands_that_make_no_sense_say_so_and_change_nothing(
    app: Flask, words: tuple[str, ...], complaint: str
) -> None:
    put_sessions(app, 1)
    before = dump(app)

    code, _, complaints = command(app, *words)

    assert code == 2
    assert complaint in complaints
    assert dump(app) == before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_end_gives_up_on_users_who_stay_locked_and_says_how_many(
    app: Flask, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_commands, "WITHOUT_PROGRESS", 1)
    put_sessions(app, 2)
    with app.app_context(), transaction(writes=True):
        execute(text("INSERT INTO session_owners VALUES ('70'), ('71')"))
    with psycopg.connect(database_url) as elsewhere:
        elsewhere.execute("SELECT 1 FROM session_owners WHERE user_id = '71' FOR UPDATE")
        code, _, complaints = command(app, "end", "--where", HERE, "--yes")

    assert code == 1
    assert "ended 1 sessions; 1 remain" in complaints


def test_what_a_command_ends_is_out(client: FlaskClient, sign_in: SignIn, app: Flask) -> None:
    device = sign_in(user_id=74)

    assert command(app, "end", "--where", "address=203.0.113.7", "--yes")[0] == 0
    assert device.get("/sessions/validate").json["end_reason"] == "admin"
