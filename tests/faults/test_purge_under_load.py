"""The purge as a process: killed in the middle, and twice at once over many sessions beside live traffic."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
import urllib3
from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from tests.harness.commands import command_process
from tests.harness.options import Numbers
from tests.harness.processes import wait_until
from tests.harness.purge_rows import left, put
from tests.harness.reports import note
from tests.harness.servers import gunicorn
from tests.harness.support import CHROME, make_token


def test_a_purge_that_is_killed_leaves_nothing_half_done(app: Flask, database_url: str) -> None:
    with app.app_context():
        kept = put(1, expires_at=datetime(2100, 1, 1, tzinfo=UTC), last_activity=datetime(2099, 12, 31, tzinfo=UTC))
        fill(5_000)
        with command_process(database_url, "purge", "--batch", "50") as process:
            wait_until(lambda: scalar(RECORDED) > 0, "ends are recorded", seconds=60)
            process.kill()
        with command_process(database_url, "purge", "--batch", "50") as process:
            wait_until(lambda: scalar(ALL) < 5_001, "sessions are removed", seconds=60)
            process.kill()
        halfway = scalar(ALL)
        with command_process(database_url, "purge") as process:
            said = process.communicate(timeout=60)[0].decode()

        assert 1 < halfway < 5_001, "it was killed before or after its work"
        assert f"purged {halfway - 1} sessions" in said
        assert list(left()) == [kept]


ALL = text("SELECT count(*) FROM sessions")
RECORDED = text("SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL")


def scalar(statement: Any) -> int:
    with db.engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


FILL = """
INSERT INTO sessions (user_id, device_key, device_name, device_type, browser, ip_source,
                      created_at, last_activity, expires_at)
SELECT CAST(1000 + i / 3 AS VARCHAR(20)), '', '', 'web', '', 'observed',
       {timestamp} '2020-01-01 00:00:00', {timestamp} '2020-01-01 00:00:00', {timestamp} '2020-02-01 00:00:00'
FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) SELECT i FROM n) AS numbers
"""


def fill(many: int) -> None:
    """Put many sessions on record that ran out long ago, of many users."""
    timestamp = "TIMESTAMP" if db.engine.dialect.name == "postgresql" else ""
    with db.engine.begin() as connection:
        if timestamp:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(FILL.replace("{timestamp}", timestamp)), {"many": many})


@contextmanager
def live_traffic(url: str) -> Iterator[list[tuple[int, float]]]:
    """Sign in and list, again and again, until the caller is done; collect statuses and seconds."""
    seen: list[tuple[int, float]] = []
    stop = Event()

    def work() -> None:
        with urllib3.PoolManager() as pool:
            for number in range(100_000):
                if stop.is_set():
                    return
                headers = {"Authorization": f"Bearer {make_token(5, n=number)}", "User-Agent": CHROME}
                for method, path in (("POST", "create"), ("GET", "my-sessions")):
                    started = monotonic()
                    response = pool.request(method, f"{url}/sessions/{path}", headers=headers, timeout=10)
                    seen.append((response.status, monotonic() - started))

    thread = Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.mark.heavy
def test_many_sessions_are_purged_twice_at_once_beside_live_traffic(
    app: Flask, database_url: str, numbers: Numbers
) -> None:
    with app.app_context():
        fill(numbers.purged_sessions)

    with (
        gunicorn(database_url, MAX_SIGN_INS_PER_MINUTE="0") as url,
        live_traffic(url) as seen,
        command_process(database_url, "purge") as one,
        command_process(database_url, "purge") as other,
    ):
        said = [process.communicate(timeout=300)[0].decode() for process in (one, other)]

    assert (one.returncode, other.returncode) == (0, 0)
    counts = [[int(one) for one in re.findall(r"\d+", text)] for text in said]
    with app.app_context():
        ids_left = left()
    slowest = max(seconds for _, seconds in seen)
    note(f"two purges at once on {database_url.partition(':')[0]}: {' | '.join(map(str.strip, said))}")
    note(f"beside them: {len(seen)} live calls, the slowest took {slowest * 1_000:.0f} ms")
    assert sum(one[0] for one in counts) == sum(one[1] for one in counts) == numbers.purged_sessions
    assert {status for status, _ in seen} == {200, 201}
    assert {one.user_id for one in ids_left.values()} == {"5"}
