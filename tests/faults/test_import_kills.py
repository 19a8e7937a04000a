"""`kill -9` in the middle of imports, beside live sign-ins: no row twice, none lost, each user's ids in order."""

import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from session_service.clock import utcnow
from tests.harness.commands import command_process
from tests.harness.imports import row_of, write_jsonl
from tests.harness.processes import wait_until
from tests.harness.records import Records
from tests.harness.reports import note
from tests.harness.servers import gunicorn
from tests.harness.support import CHROME, FIREFOX, IPHONE, make_token

MANY = 3_000
DEVICES = (CHROME, FIREFOX, IPHONE)


def faults_of_import(records: Records, rows: list[dict[str, Any]]) -> list[str]:
    """Find rows that became no session, or more than one, and users whose sessions are out of order."""
    marks = records.run("SELECT source_id, session_id FROM imported_sessions")
    sessions = records.run(
        "SELECT id, user_id, created_at FROM sessions WHERE device_fingerprint = 'imported' ORDER BY id"
    )
    faults = []
    if sorted(one for one, _ in marks) != sorted(str(row["id"]) for row in rows):
        faults.append("marks: not each row is remembered once")
    if sorted(session for _, session in marks) != [one[0] for one in sessions]:
        faults.append("sessions: not each row is one session")
    last: dict[str, Any] = {}
    for _, user_id, created_at in sessions:
        if user_id in last and created_at < last[user_id]:
            faults.append(f"order: user {user_id}")
        last[user_id] = created_at
    owners = {one for (one,) in records.run("SELECT user_id FROM session_owners")}
    if not {one[1] for one in sessions} <= owners:
        faults.append("owners: a user has no row to lock")
    return faults


def rows_of_users() -> list[dict[str, Any]]:
    return [
        row_of(
            number,
            1_000 + number % (MANY // 3),
            user_agent=DEVICES[number * 3 // MANY],
            device_fingerprint="imported",
            days_ago=3 - number / MANY,
        )
        for number in range(MANY)
    ]


@pytest.mark.parametrize(
    "tamper",
    [
        "DELETE FROM imported_sessions WHERE source_id = '7'",
        "DELETE FROM sessions WHERE id = (SELECT max(id) FROM sessions)",
        "UPDATE sessions SET created_at = '2020-01-01 00:00:00' WHERE id = (SELECT max(id) FROM sessions)",
        "DELETE FROM session_owners WHERE user_id = '1007'",
    ],
)
def test_what_an_import_loses_or_doubles_would_be_noticed(database_url: str, tmp_path: Path, tamper: str) -> None:
    rows = rows_of_users()
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    with command_process(database_url, "import", str(path)) as process:
        process.communicate(timeout=120)
    with closing(Records(database_url)) as records:
        assert faults_of_import(records, rows) == []

        records.run(tamper)

        assert faults_of_import(records, rows)


@pytest.mark.heavy
def test_an_import_that_is_killed_again_and_again_ends_with_each_row_once(database_url: str, tmp_path: Path) -> None:
    rows = rows_of_users()
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    seen: list[int] = []
    with gunicorn(database_url, MAX_SIGN_INS_PER_MINUTE="0") as url, closing(Records(database_url)) as records:

        def imported() -> int:
            return int(records.run("SELECT count(*) FROM imported_sessions")[0][0])

        for kills in range(4):
            before = imported()
            with command_process(database_url, "import", str(path), "--batch", "10") as process:
                wait_until(lambda before=before: imported() >= before + 200, "rows are imported")  # type: ignore[misc]
                seen += live_calls(url, kills)
                process.kill()
                process.wait()
        halfway = imported()
        processes = [command_process(database_url, "import", str(path), "--batch", "50") for _ in range(2)]
        with processes[0] as one, processes[1] as other:
            seen += live_calls(url, 99)
            said = [process.communicate(timeout=300)[0].decode() for process in (one, other)]

        assert (one.returncode, other.returncode) == (0, 0)
        assert 800 <= halfway < MANY, "it was killed before or after its work"
        created = [int(re.search(r"imported ([\d,]+) sessions", text)[1].replace(",", "")) for text in said]
        assert sum(created) == MANY - halfway
        assert set(seen) == {200, 201}
        assert faults_of_import(records, rows) == []
    note(f"an import on {database_url.partition(':')[0]} was killed 4 times, at {halfway} of {MANY} rows in the end")


def live_calls(url: str, number: int) -> list[int]:
    """Sign in and list, as users whose rows are being imported; return the statuses."""
    seen = []
    with urllib3.PoolManager() as pool:
        for user in range(1_000, 1_000 + MANY // 3, 100):
            token = make_token(user, n=number, exp=int((utcnow() + timedelta(hours=1)).timestamp()))
            headers = {"Authorization": f"Bearer {token}", "User-Agent": f"Call/{number} (Linux)"}
            for method, path in (("POST", "create"), ("GET", "my-sessions")):
                seen.append(pool.request(method, f"{url}/sessions/{path}", headers=headers, timeout=10).status)
    return seen
