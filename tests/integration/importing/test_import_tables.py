"""`sessions import --from-url`: an application's own table on either database, read-only, and never one of ours."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from session_service.clock import utcnow
from tests.harness.commands import command
from tests.harness.imports import row_of, write_table
from tests.harness.purge_rows import left
from tests.harness.support import FIREFOX


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def theirs(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """Return the URL of another application's database, of each kind."""
    return new_database(request.param)


def local(hours_ago: float) -> str:
    """Return a time without an offset, by a clock in Tashkent."""
    return (utcnow() + timedelta(hours=5 - hours_ago)).replace(tzinfo=None, microsecond=0).isoformat(" ")


def naive_row(number: int, hours_ago: float, **values: Any) -> dict[str, object]:
    return row_of(number, created_at=local(hours_ago), last_activity=local(hours_ago), **values)


def test_a_table_is_imported_and_stays_as_it_was(app: Flask, theirs: str) -> None:
    write_table(
        theirs,
        "user_sessions",
        [
            naive_row(1, 30),
            naive_row(2, 20, user_agent=FIREFOX, refresh_token="r"),
            naive_row(3, 10, user_id=75, is_active=False),
        ],
    )

    words = ("import", "--from-url", theirs, "--table", "user_sessions")
    refused = command(app, *words)
    first, again = command(app, *words, "--timezone", "Asia/Tashkent"), command(app, *words, "--timezone", "UTC")

    assert "left out 3 (time_without_zone 3)" in refused[1]
    assert "imported 3 sessions, 2 of them active" in first[1]
    assert first[2] == ""
    assert "imported 0 sessions" in again[1]
    sessions = list(left().values())
    assert [(one.user_id, one.browser, one.end_reason) for one in sessions] == [
        ("74", "Chrome", None),
        ("74", "Firefox", None),
        ("75", "Chrome", "logout"),
    ]
    assert abs(sessions[0].created_at - (utcnow() - timedelta(hours=30))) < timedelta(minutes=2)


def test_the_url_may_come_from_the_environment(app: Flask, theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(theirs, "user_sessions", [naive_row(1, 1)])
    monkeypatch.setenv("IMPORT_FROM_URL", theirs)

    said = command(app, "import", "--table", "user_sessions", "--timezone", "Asia/Tashkent")

    assert "imported 1 sessions" in said[1]


@pytest.mark.parametrize("table", ["sessions", "session_owners"])
def test_a_table_of_this_service_is_refused(app: Flask, database_url: str, table: str) -> None:
    code, _, complaints = command(app, "import", "--from-url", database_url, "--table", table)

    assert code == 1
    assert "is a table of this service" in complaints


def test_a_sessions_table_of_another_application_is_read(app: Flask, theirs: str) -> None:
    write_table(theirs, "sessions", [naive_row(1, 1)])

    said = command(app, "import", "--from-url", theirs, "--table", "sessions", "--timezone", "Asia/Tashkent")

    assert "imported 1 sessions" in said[1]


@pytest.mark.parametrize(
    ("table", "words", "complaint"),
    [
        ("nothing", (), "there is no table nothing"),
        ("user_sessions; DROP TABLE user_sessions", (), "there is no table"),
        ("user_sessions", ("--map", "seen=last_activity"), "no column 'seen'"),
        ("user_sessions", ("--map", "nothing=id"), "no column 'nothing'"),
    ],
)
def test_what_a_table_lacks_is_said(
    app: Flask, theirs: str, table: str, words: tuple[str, ...], complaint: str
) -> None:
    write_table(theirs, "user_sessions", [naive_row(1, 1)])

    code, _, complaints = command(app, "import", "--from-url", theirs, "--table", table, *words)

    assert (code, complaint in complaints) == (1, True)


def test_a_table_without_a_primary_key_may_have_an_id_twice(app: Flask, new_database: Callable[[str], str]) -> None:
    url = new_database("sqlite")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("CREATE TABLE plain (id, user_id, created_at)")
        at = utcnow().isoformat()
        rows = [(1, 74, at), (1, 74, at), (b"\xff", 74, at), (2, b"x", at), (3, 74, None), (4.5, 74, at)]
        connection.executemany("INSERT INTO plain VALUES (?, ?, ?)", rows)
        connection.execute("INSERT INTO plain VALUES ('x', 74, CAST(x'ff' AS TEXT))")

    code, said, complaints = command(app, "import", "--from-url", url, "--table", "plain")

    assert code == 0
    assert "imported 1 sessions" in said
    assert [line.split('"code":"')[1].split('"')[0] for line in complaints.splitlines()] == [
        "duplicate_id",
        "id",
        "user_id",
        "missing",
        "id",
        "time",
    ]


def test_any_type_of_postgresql_is_a_text_and_times_that_python_has_not_are_reported(
    app: Flask, new_database: Callable[[str], str]
) -> None:
    url = new_database("postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA app")
        connection.execute(
            "CREATE TABLE app.logins (id uuid PRIMARY KEY, who bigint, began timestamptz, ip inet, seen timestamptz)"
        )
        connection.execute(
            "INSERT INTO app.logins SELECT gen_random_uuid(), 74, now() - interval '1 hour', '203.0.113.7', seen"
            " FROM (VALUES (now()), ('infinity'), ('0044-03-15 BC'), ('20000-01-01')) AS times(seen)"
        )

    words = [f"--map={pair}" for pair in ("who=user_id", "began=created_at", "ip=ip_address", "seen=last_activity")]
    _, said, complaints = command(app, "import", "--from-url", url, "--table", "app.logins", *words)

    assert "imported 1 sessions" in said
    assert complaints.count('"code":"time"') == 3
    (session,) = left().values()
    assert (session.ip_address, session.created_at.tzinfo) == ("203.0.113.7", UTC)


def test_a_table_is_read_in_a_transaction_that_cannot_write(app: Flask, new_database: Callable[[str], str]) -> None:
    url = new_database("postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE noted (id int)")
        connection.execute(
            "CREATE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO noted VALUES (1) RETURNING id'"
        )
        connection.execute("CREATE VIEW tricky AS SELECT note() AS id, 74 AS user_id, now() AS created_at")

    code, _, complaints = command(app, "import", "--from-url", url, "--table", "tricky")

    assert code == 1
    assert "read-only transaction" in complaints
