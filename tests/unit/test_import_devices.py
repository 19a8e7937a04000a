"""Several rows of one device become one session, unless a token can tell them apart."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from session_service.database.staging import StagedRow, Staging, StagingProblem
from session_service.importing.devices_of_user import rows_by_device, session_on_record
from session_service.importing.rows import ImportedRow, RowRules, read_row
from session_service.importing.staged import devices_in_order, stage, unstage
from tests.harness.support import CHROME, FIREFOX, settings

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
RULES = RowRules(settings(), NOW)


def row(number: int, *, hours_ago: float, user_id: int = 74, **values: Any) -> ImportedRow:
    at = (NOW - timedelta(hours=hours_ago)).isoformat()
    here = {"ip_address": "203.0.113.7", "user_agent": CHROME, "device_fingerprint": "f"}
    given = {**here, "id": number, "user_id": user_id, "created_at": at, **values}
    return read_row({name: value for name, value in given.items() if value is not None}, RULES)


def ids(rows: list[ImportedRow]) -> list[tuple[str, list[str]]]:
    return [(one.chosen.source_id, [other.source_id for other in one.others]) for one in rows_by_device(rows)]


def test_the_row_that_was_used_last_stands_for_its_device() -> None:
    used = (NOW - timedelta(minutes=1)).isoformat()
    rows = [row(1, hours_ago=9), row(2, hours_ago=8, last_activity=used), row(3, hours_ago=7)]

    assert ids(rows) == [("2", ["1", "3"])]


@pytest.mark.parametrize(
    "other",
    [
        {"user_agent": FIREFOX},
        {"ip_address": "203.0.113.8"},
        {"device_fingerprint": "g"},
        {"sid": "s"},
        {"jti": "j"},
        {"is_active": False},
        {"ip_address": None},
    ],
    ids=str,
)
def test_another_device_and_what_a_token_names_stand_for_themselves(other: dict[str, Any]) -> None:
    assert ids([row(1, hours_ago=2), row(2, hours_ago=1, **other)]) == [("1", []), ("2", [])]


def test_two_scripts_without_a_fingerprint_are_not_one_device() -> None:
    script: dict[str, Any] = {"user_agent": "curl/8.5.0", "device_fingerprint": None}

    assert ids([row(1, hours_ago=2, **script), row(2, hours_ago=1, **script)]) == [("1", []), ("2", [])]


def test_sessions_are_in_the_order_of_their_creation() -> None:
    rows = [row(3, hours_ago=1, user_agent=FIREFOX), row(2, hours_ago=5), row(1, hours_ago=3, is_active=False)]

    assert [number for number, _ in ids(rows)] == ["2", "1", "3"]


def test_a_device_that_is_signed_in_here_is_found() -> None:
    here = row(1, hours_ago=2).session._replace(id=5)
    elsewhere = row(1, hours_ago=2, user_id=75).session._replace(id=6)

    assert session_on_record(row(2, hours_ago=1), [here, elsewhere]) == here
    assert session_on_record(row(2, hours_ago=1), [elsewhere]) is None
    assert session_on_record(row(2, hours_ago=1, sid="s"), [here]) is None
    assert session_on_record(row(2, hours_ago=1, user_agent=FIREFOX), [here]) is None


def test_rows_come_back_from_the_temporary_file_as_they_were_and_in_order() -> None:
    rows = [
        row(9, hours_ago=1, user_id=9, jti="j"),
        row(2, hours_ago=1, user_agent=FIREFOX, is_active=False),
        row(1, hours_ago=2, sid="s"),
    ]
    staging = Staging()
    for number, one in enumerate(rows, 1):
        assert staging.add(stage(one, number))
        assert not staging.add(stage(one, 100))

    assert [unstage(one) for one in staging.sorted_rows()] == [rows[2], rows[1], rows[0]]
    assert (staging.rows, staging.line_of("9"), staging.line_of("10")) == (3, 1, None)
    assert [one.lines for one in devices_in_order(staging)] == [{"1": 3}, {"2": 2}, {"9": 1}]
    staging.close()


def test_a_full_disk_is_a_problem_of_its_own() -> None:
    staging = Staging()
    staging._file.execute("PRAGMA max_page_count = 20")

    def fill() -> None:
        for number in range(1_000):
            staging.add(StagedRow("74", str(number), number, number, b"x" * 1_000))

    with pytest.raises(StagingProblem, match="full"):
        fill()
    staging.close()
