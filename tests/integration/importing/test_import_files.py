"""`sessions import FILE`: on both databases, repeatable, and with a reason for each row that is left out."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from session_service.clock import utcnow
from session_service.database.engine import db
from tests.harness.commands import command
from tests.harness.imports import import_file, row_of, write_csv, write_jsonl
from tests.harness.people import dump
from tests.harness.purge_rows import left
from tests.harness.support import CHROME, FIREFOX, IPHONE, MakeApp, make_token, sign_in_with

AGENTS = (CHROME, FIREFOX, IPHONE)


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def rows(many: int = 6) -> list[dict[str, Any]]:
    """Return three devices of each of some users."""
    return [
        row_of(number + 1, 74 + number // 3, user_agent=AGENTS[number % 3], days_ago=2 - number / 100)
        for number in range(many)
    ]


def count(statement: str) -> int:
    with db.engine.connect() as connection:
        return int(connection.execute(text(statement)).scalar_one())


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
def test_a_file_is_imported_once_however_often(app: Flask, tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / ("rows.csv" if write is write_csv else "rows.jsonl"), rows())

    first = import_file(app, path)
    before = left()
    again = import_file(app, path)

    assert (first[0], first[2]) == (0, [])
    assert first[1].startswith("read 6 rows: imported 6 sessions, 6 of them active; imported before 0; left out 0;")
    assert again[1].startswith("read 6 rows: imported 0 sessions, 0 of them active; imported before 6; left out 0;")
    assert left() == before
    assert [one.user_id for one in before.values()] == ["74"] * 3 + ["75"] * 3
    assert [one.device_name for one in before.values()][:3] == [
        "Chrome on Windows 10",
        "Firefox on Linux",
        "Safari on iPhone",
    ]
    assert count("SELECT count(*) FROM session_owners") == 2
    assert count("SELECT count(*) FROM session_events") == 0


def test_imported_sessions_are_active_in_the_charts_and_nobody_signed_in(app: Flask, tmp_path: Path) -> None:
    import_file(app, write_jsonl(tmp_path / "rows.jsonl", rows()))

    headers = {"Authorization": f"Bearer {make_token(1, role='admin')}"}
    *_, last = app.test_client().get("/sessions/statistics", headers=headers).json["periods"]

    assert (last["active"], sum(last["created"].values()), sum(last["ended"].values())) == (6, 0, 0)


@pytest.mark.parametrize("batch", ["1", "2", "5", "500"])
def test_batches_of_any_size_give_the_same_and_ids_in_the_order_of_creation(
    app: Flask, tmp_path: Path, batch: str
) -> None:
    shuffled = [rows()[number] for number in (5, 1, 3, 0, 4, 2)]

    import_file(app, write_jsonl(tmp_path / "rows.jsonl", shuffled), "--batch", batch)

    on_record = list(left().values())
    for user in ("74", "75"):
        of_user = [one for one in on_record if one.user_id == user]
        assert [one.created_at for one in of_user] == sorted(one.created_at for one in of_user)
        assert len({one.id for one in of_user}) == 3


def test_an_ended_session_does_not_come_back_whatever_becomes_of_its_row(app: Flask, tmp_path: Path) -> None:
    used = utcnow().isoformat()
    twins = [row_of(1), row_of(2, days_ago=0.5)]
    path = write_jsonl(tmp_path / "rows.jsonl", twins)
    assert "imported 1 sessions" in import_file(app, path)[1]
    (session,) = left()
    command(app, "end", "--session", str(session))

    changed = [{**row, "last_activity": used, "is_active": number == 0} for number, row in enumerate(twins)]
    again = import_file(app, write_jsonl(path, changed))
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM sessions"))  # as a purge does, long after
    purged = import_file(app, path)

    assert "imported 0 sessions" in again[1]
    assert "imported 0 sessions" in purged[1]
    assert not left()


def test_rows_of_one_device_become_one_session_and_the_others_are_told(app: Flask, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [row_of(number, days_ago=number) for number in (3, 1, 2)])

    _, said, left_out = import_file(app, path)
    again = import_file(app, path)

    assert "imported 1 sessions" in said
    assert {(one["line"], one["id"], one["code"]) for one in left_out} == {
        (1, "3", "same_device"),
        (3, "2", "same_device"),
    }
    assert again[2] == []
    assert "imported before 3" in again[1]
    assert count("SELECT count(DISTINCT session_id) FROM imported_sessions") == 1


def test_a_device_that_has_signed_in_here_keeps_its_session_and_nobody_is_evicted(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(MAX_SESSIONS_PER_USER=1)
    fingerprint = row_of(1)["device_fingerprint"]
    here = sign_in_with(app.test_client())(body={"device_fingerprint": fingerprint})

    _, _, left_out = import_file(app, write_jsonl(tmp_path / "rows.jsonl", [row_of(1), row_of(2, user_agent=FIREFOX)]))

    assert [(one["id"], one["code"]) for one in left_out] == [("1", "same_device")]
    assert [(one.id == here.id, one.ended_at) for one in left().values()] == [(True, None), (False, None)]


def test_each_row_that_is_left_out_is_reported_by_line_id_and_reason_and_by_nothing_else(
    app: Flask, tmp_path: Path
) -> None:
    path, report = tmp_path / "rows.jsonl", tmp_path / "report.jsonl"
    faulty = [
        row_of(1),
        row_of(2, created_at="2026-02-07 12:00:00"),
        row_of(3, user_id="secret-user"),
        row_of(1, user_agent=FIREFOX),
        row_of(4, days_ago=9),
        {"user_id": 74},
    ]
    write_jsonl(path, faulty)

    code, said, _ = import_file(app, path, "--report", str(report))
    strict = import_file(app, path, "--strict")

    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert code == 0
    assert [(one["line"], one.get("id"), one["code"]) for one in lines] == [
        (2, "2", "time_without_zone"),
        (3, "3", "user_id"),
        (4, "1", "duplicate_id"),
        (5, "4", "idle"),
        (6, None, "missing"),
    ]
    assert "line 1" in lines[2]["why"]
    assert "secret" not in report.read_text()
    assert "left out 5 (" in said
    assert strict[0] == 3


def test_strict_does_not_mind_rows_from_which_no_session_comes(app: Flask, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [row_of(1), row_of(2, days_ago=9), row_of(3, days_ago=2)])

    code, said, left_out = import_file(app, path, "--strict")

    assert (code, {one["code"] for one in left_out}) == (0, {"idle", "same_device"})
    assert "imported 1 sessions" in said


def test_a_dry_run_says_the_same_and_changes_nothing(app: Flask, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [*rows(), row_of(9, days_ago=9)])
    before = dump(app)

    dry = import_file(app, path, "--dry-run")
    unchanged = dump(app)
    wet = import_file(app, path)

    assert unchanged == before
    assert dry[2] == wet[2]
    assert dry[1].startswith("read 7 rows: would import 6 sessions, 6 of them active;")


def test_an_id_that_belongs_to_another_table_is_noticed_and_a_source_tells_them_apart(
    app: Flask, tmp_path: Path
) -> None:
    import_file(app, write_jsonl(tmp_path / "one.jsonl", [row_of(1, 74)]))
    other = write_jsonl(tmp_path / "other.jsonl", [row_of(1, 75)])

    mixed = import_file(app, other)
    apart = import_file(app, other, "--source", "other")

    assert [one["code"] for one in mixed[2]] == ["id_of_another_user"]
    assert "imported 1 sessions" in apart[1]


def test_times_without_an_offset_need_a_zone(app: Flask, tmp_path: Path) -> None:
    at = (utcnow() - timedelta(hours=1)).replace(microsecond=0)
    there = (at + timedelta(hours=5)).replace(tzinfo=None).isoformat(" ")
    path = write_csv(tmp_path / "rows.csv", [row_of(1, created_at=there, last_activity=there)])

    refused = import_file(app, path)
    imported = import_file(app, path, "--timezone", "Asia/Tashkent")

    assert [one["code"] for one in refused[2]] == ["time_without_zone"]
    assert "imported 1 sessions" in imported[1]
    assert [one.created_at for one in left().values()] == [at]


def test_standard_input_is_read(app: Flask) -> None:
    line = json.dumps(row_of(1))

    done = app.test_cli_runner().invoke(args=["sessions", "import", "-", "--format", "jsonl"], input=line)

    assert "imported 1 sessions" in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "give either FILE or --from-url"),
        (("x.jsonl", "--table", "t"), "give either FILE or --from-url"),
        (("x.txt",), "--format is needed"),
        (("-",), "--format is needed"),
        (("no-such-file.csv",), "No such file"),
        ((".", "--format", "csv"), "Is a directory"),
        (("x.csv", "--map", "a"), "is not old=new"),
        (("x.csv", "--map", "a=id", "--map", "b=id"), "mapped twice"),
        (("x.csv", "--timezone", "Mars/Olympus"), "time zone"),
        (("x.csv", "--timezone", "../etc/passwd"), "time zone"),
        (("x.csv", "--source", ""), "--source"),
        (("--from-url", "mysql://x:pw-in-url@127.0.0.1/x", "--table", "t"), "the URL must begin with"),
        (("--from-url", "postgresql://x:pw-in-url@127.0.0.1:9/x", "--table", "t"), "the database did not answer"),
        (("--from-url", "sqlite:////no/such/file", "--table", "t"), "the database did not answer"),
    ],
)
def test_what_cannot_be_imported_is_one_message_without_a_password(
    app: Flask, words: tuple[str, ...], complaint: str
) -> None:
    code, _, complaints = command(app, "import", *words)

    assert code in {1, 2}
    assert complaint in complaints
    assert "pw-in-url" not in complaints
    assert "Traceback" not in complaints
