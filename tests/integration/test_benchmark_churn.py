"""The churn does what it says, and keeps the number of rows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import Event, Value

import psycopg

from benchmarks.churn.load import Job, run_purge, run_users
from benchmarks.churn.plan import QUICK, RETENTION_DAYS
from benchmarks.churn.rows import fill
from benchmarks.churn.tables import snapshot
from benchmarks.people import DEVICES
from tests.harness.support import SECRET

CHURN = replace(QUICK, users=20, processes=2, uses=1.0)


def test_the_churn_leaves_as_many_rows_as_there_were(new_database: Callable[[str], str]) -> None:
    url = new_database("postgresql")
    fill(url, SECRET, CHURN.before)
    job = Job(url, SECRET, CHURN, datetime.now(UTC) - timedelta(days=CHURN.days))
    before, done, begun = snapshot(url), Value("q", 0), [Event() for _ in range(CHURN.days)]
    for day in begun:
        day.set()

    for number in range(CHURN.processes):
        run_users(job, number, done, begun)
    run_purge(job, CHURN.days)

    with psycopg.connect(url) as connection:
        states = Counter(connection.execute("SELECT end_reason, user_id FROM sessions").fetchall())
        reasons = connection.execute("SELECT end_reason, count(*) FROM sessions GROUP BY 1").fetchall()
        oldest = connection.execute("SELECT min(ended_at) FROM sessions").fetchone()
        newest_id = connection.execute("SELECT max(id) FROM sessions").fetchone()
    assert done.value == CHURN.sign_ins
    assert newest_id == (CHURN.before.rows + CHURN.sign_ins,)
    assert {states[None, str(user_id)] for user_id in range(1, CHURN.users + 1)} == {DEVICES}
    ended = {reason: number for reason, number in reasons if reason}
    assert set(ended) == {"limit", "logout"}
    assert sum(ended.values()) == CHURN.users * RETENTION_DAYS
    assert oldest
    assert oldest[0] > job.began_at + timedelta(days=CHURN.days - RETENTION_DAYS)
    after = snapshot(url)
    assert after.tables["sessions"].rows == before.tables["sessions"].rows == CHURN.before.rows
    # Each sign-in created one session and ended another.
    kept = 2 * CHURN.users * RETENTION_DAYS
    assert after.tables["session_events"].rows == before.tables["session_events"].rows == kept
    assert set(before.indexes) == set(after.indexes)
