"""`kill -9` in the middle of sign-ins: what was acknowledged is on record, nothing is half done, and it goes on.

The detector is `faults_on_record`. What shows that it would notice: records that were tampered with, a service that
creates a session in two transactions, and a PostgreSQL that may acknowledge a commit before it is on disk.
"""

import os
import random
import signal
from contextlib import closing
from functools import partial
from pathlib import Path
from time import sleep

import pytest

from tests.harness.continuous_load import MOST_SECONDS, USERS, Tally, faults_on_record, signing_in, wait_for_more
from tests.harness.postgres import PostgresServer, own_postgres
from tests.harness.processes import children, is_gone, wait_until
from tests.harness.records import Records, said
from tests.harness.servers import faulty, gunicorn
from tests.harness.sign_ins import LIMIT
from tests.harness.support import SignIn


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        ("DELETE FROM sessions WHERE id = {newest}", {"lost"}),
        ("DELETE FROM sessions WHERE id = {successor}", {"lost", "gave way to nobody"}),
        (
            "UPDATE sessions SET ended_at = NULL WHERE id = {evicted}",
            {"active, with an end", "not evicted as answered"},
        ),
        (
            "UPDATE sessions SET ended_at = NULL, end_reason = NULL, ended_by = NULL, successor_id = NULL"
            " WHERE id = {evicted}",
            {"not the newest", "not evicted as answered"},
        ),
        ("UPDATE sessions SET end_reason = NULL WHERE id = {evicted}", {"ended without a reason"}),
        ("UPDATE sessions SET successor_id = {newest} WHERE id = {evicted}", {"not evicted as answered"}),
        ("DELETE FROM session_tokens WHERE session_id = {newest}", {"without its token"}),
    ],
)
def test_what_is_lost_or_half_done_would_be_noticed(
    sign_in: SignIn, database_url: str, tamper: str, found: set[str]
) -> None:
    created = [sign_in(body={"device_fingerprint": str(one)}).session for one in range(5)]
    ids = [one["id"] for one in created]
    with closing(Records(database_url)) as records:
        assert faults_on_record(created, records) == []

        records.run(tamper.format(evicted=ids[0], successor=ids[LIMIT], newest=ids[-1]))

        assert said(faults_on_record(created, records)) >= found


# A worker is killed


def kill_workers(url: str, pid_file: Path, kills: int, callers: int = 8) -> Tally:
    """Kill one worker of a gunicorn after the other, each in the middle of sign-ins."""
    master = int(pid_file.read_text())
    with signing_in(url, callers) as tally:
        for _ in range(kills):
            wait_until(lambda: len(children(master)) == 2, "there are two workers")
            wait_for_more(20, tally.acknowledged, "sign-ins")
            # The other one may have been started just now; this one has work in hand.
            oldest = children(master)[0]
            # The sign-in that was waited for has just ended; the others are to be met at any point.
            sleep(random.uniform(0, 0.03))
            os.kill(oldest, signal.SIGKILL)
            wait_until(partial(is_gone, oldest), "the killed worker is gone")
            tally.kills += 1
        wait_for_more(20, tally.acknowledged, "sign-ins")
        wait_until(lambda: len(children(master)) == 2, "there are two workers again")
    return tally


def test_no_acknowledged_sign_in_is_lost_with_a_worker(database_url: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with gunicorn(database_url, MAX_SIGN_INS_PER_MINUTE="0", GUNICORN_CMD_ARGS=f"--pid {pid_file}") as url:
        tally = kill_workers(url, pid_file, kills=5)

    assert tally.refused == []
    assert len(tally.broken) > 0, "no sign-in was under way when a worker was killed"
    assert tally.slowest < MOST_SECONDS
    with closing(Records(database_url)) as records:
        assert faults_on_record(tally.acknowledged, records) == []


def test_a_sign_in_of_two_transactions_would_be_noticed(database_url: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with faulty(database_url, "creates in two transactions", f"--pid {pid_file}") as (url,):
        # One caller for each user: what is wrong afterwards is not the work of a race.
        tally = kill_workers(url, pid_file, kills=3, callers=len(USERS))

    with closing(Records(database_url)) as records:
        assert said(faults_on_record(tally.acknowledged, records)) >= {"without its token"}


# PostgreSQL is killed


def kill_postgres(server: PostgresServer, url: str, kills: int) -> Tally:
    """Kill a server in the middle of sign-ins, start it again once calls were refused, and so on."""
    with signing_in(url) as tally:
        for _ in range(kills):
            wait_for_more(50, tally.acknowledged, "sign-ins")
            sleep(random.uniform(0, 0.03))
            server.kill()
            wait_for_more(20, tally.refused, "refused calls")
            server.start()
            tally.kills += 1
        wait_for_more(50, tally.acknowledged, "sign-ins")
    return tally


def test_no_acknowledged_sign_in_is_lost_with_postgresql(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    arguments = {"MAX_SIGN_INS_PER_MINUTE": "0", "GUNICORN_CMD_ARGS": f"--pid {pid_file}"}
    with own_postgres() as server, gunicorn(server.url, **arguments) as url:
        master = int(pid_file.read_text())
        wait_until(lambda: len(children(master)) == 2, "there are two workers")
        workers = children(master)
        tally = kill_postgres(server, url, kills=3)
        assert children(master) == workers

        assert {(one.status, one.code, one.retry_after) for one in tally.refused} == {
            (503, "database_unavailable", "1")
        }
        assert tally.broken == []
        assert tally.slowest < MOST_SECONDS
        with closing(Records(server.url)) as records:
            assert faults_on_record(tally.acknowledged, records) == []


def test_a_commit_that_is_acknowledged_too_early_would_be_noticed() -> None:
    careless = ("-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s")
    with own_postgres(*careless) as server, gunicorn(server.url, MAX_SIGN_INS_PER_MINUTE="0") as url:
        tally = kill_postgres(server, url, kills=1)
        with closing(Records(server.url)) as records:
            assert said(faults_on_record(tally.acknowledged, records)) >= {"lost"}
