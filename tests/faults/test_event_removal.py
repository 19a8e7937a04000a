"""Commands that delete events, killed in the middle: no reader passes what is gone, and a repeat completes the work."""

from typing import Any

from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from tests.harness.commands import command_process
from tests.harness.feed import BACKEND, CREDENTIALS, Reader
from tests.harness.processes import wait_until
from tests.harness.support import MakeApp

FILL = """
INSERT INTO session_events (xact, what, session_id, user_id, at, recorded_at, reason, initiated_by, device_name)
SELECT {xact}, 'ended', 1000000 + i, CAST(900 + i % 2 AS VARCHAR(20)), {timestamp} '{day} 00:00:00',
       {timestamp} '{day} 00:00:00', 'logout', '901', 'Chrome on Linux'
FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) SELECT i FROM n) AS numbers
"""
OF_901 = "FROM session_events WHERE user_id = '901' OR initiated_by = '901'"


def query(statement: str) -> list[Any]:
    with db.engine.begin() as connection:
        result = connection.execute(text(statement))
        return list(result.all()) if result.returns_rows else []


def scalar(statement: str) -> int:
    return int(query(statement)[0][0])


def fill(many: int, day: str) -> None:
    is_sqlite = db.engine.dialect.name == "sqlite"
    xact = "0" if is_sqlite else "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"
    query(FILL.format(many=many, day=day, xact=xact, timestamp="" if is_sqlite else "TIMESTAMPTZ"))


def position_of_first(app: Flask) -> str:
    xact, first = query("SELECT xact, min(id) FROM session_events GROUP BY xact ORDER BY xact LIMIT 1")[0]
    return f"{xact}-{first - 1}"


def test_a_purge_of_events_that_is_killed_leaves_no_reader_in_a_gap(make_app: MakeApp, database_url: str) -> None:
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS)
    client = app.test_client()
    with app.app_context():
        fill(4_000, "2020-01-01")
        early, ids = position_of_first(app), {row[0] for row in query("SELECT id FROM session_events")}
        with command_process(database_url, "purge", "--batch", "20") as process:
            wait_until(lambda: scalar("SELECT count(*) FROM session_events") < 4_000, "events are deleted")
            process.kill()
            process.wait()
        left = {row[0] for row in query("SELECT id FROM session_events")}
        purged = query("SELECT xact, event_id FROM purged_events")[0]

        assert 0 < len(left) < 4_000, "it was killed before or after its work"
        assert purged[1] == max(ids - left)
        gone = client.get(f"/sessions/feed?after={early}", headers=BACKEND)
        assert gone.json["code"] == "feed_position_gone"
        reader = Reader(client)
        reader.position = f"{purged[0]}-{purged[1]}"
        seen: set[int] = set()
        while page := reader.new():
            seen |= {one["id"] for one in page}
        assert seen == left

        with command_process(database_url, "purge") as process:
            assert f"and {len(left)} events" in process.communicate(timeout=60)[0].decode()
        assert scalar("SELECT count(*) FROM session_events") == 0


def test_an_erasure_that_is_killed_is_completed_by_a_repeat(app: Flask, database_url: str) -> None:
    with app.app_context():
        fill(60_000, "2020-01-01")
        before = scalar(f"SELECT count(*) {OF_901}")
        with command_process(database_url, "erase", "901", "--yes") as process:
            wait_until(lambda: scalar(f"SELECT count(*) {OF_901}") < before, "events lose the user")
            process.kill()
            process.wait()
        halfway = scalar(f"SELECT count(*) {OF_901}")
        with command_process(database_url, "erase", "901", "--yes") as process:
            said = process.communicate(timeout=60)[0].decode()

        assert 0 < halfway < before, "it was killed before or after its work"
        assert f"{halfway} events" in said
        assert scalar(f"SELECT count(*) {OF_901}") == 0
        assert scalar("SELECT count(*) FROM session_events WHERE user_id = '900'") == 30_000
