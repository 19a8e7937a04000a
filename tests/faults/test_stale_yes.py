"""No yes after an end: readers that remember are asked all the time while sessions end, and everything breaks.

Readers are frozen and woken, workers are killed, PostgreSQL is restarted, and some ends wait between their statement
and their commit. A yes is stale if its question began later than one lease after the end was acknowledged, or at all
after an acknowledgement with `everywhere`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import monotonic, sleep
from typing import NamedTuple

import pytest
import urllib3
from flask import Flask
from sqlalchemy import insert

from session_service.app import create_app
from session_service.auth_server.jwks import verification_keys
from session_service.auth_server.tokens import TokenVerifier
from session_service.clock import utcnow
from session_service.database import session_queries
from session_service.database.engine import db
from session_service.database.models import SessionOwner, SessionToken, UserSession
from session_service.database.transaction import execute, transaction
from session_service.errors import DatabaseUnavailable
from session_service.records import End
from tests.harness import backends
from tests.harness.examples import CREDENTIALS
from tests.harness.options import Numbers
from tests.harness.paths import PROJECT
from tests.harness.postgres import PostgresServer, own_postgres
from tests.harness.processes import children
from tests.harness.reports import note
from tests.harness.servers import gunicorn
from tests.harness.stale_yes import AHEAD, FIRST_USER, OVER, READERS, SESSIONS_PER_USER, token_of
from tests.harness.support import basic, settings

LEASE = 0.5
SERVICE = basic(*CREDENTIALS.split(":"))
PATIENCE_SECONDS = 10.0
"""For readers to ask about the next user first: one may be frozen, or the service away."""
PER_STATEMENT = 2_000


class Acknowledged(NamedTuple):
    """When the end of a user's sessions was acknowledged, and whether that was said to hold everywhere."""

    at: float
    everywhere: bool


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_postgres() as server:
        yield server


def put_sessions(app: Flask, first: int, users: int) -> None:
    """Put the sessions on record, with their tokens."""
    verifier = TokenVerifier(settings(), verification_keys(settings()))
    now = utcnow()
    device = {"device_key": "k", "device_name": "n", "device_type": "web", "browser": "b", "ip_source": "observed"}
    times = {"created_at": now, "last_activity": now, "expires_at": now + timedelta(days=1)}
    everybody = range(first, first + users + AHEAD)
    pairs = [(user, number) for user in everybody for number in range(SESSIONS_PER_USER)]
    with app.app_context():
        with transaction(writes=True, takes_long=True):
            execute(insert(SessionOwner), [{"user_id": str(user)} for user in everybody])
        for start in range(0, len(pairs), PER_STATEMENT):
            page = pairs[start : start + PER_STATEMENT]
            with transaction(writes=True, takes_long=True):
                rows = [{"user_id": str(user), "sid": None, **device, **times} for user, _ in page]
                ids = execute(insert(UserSession).returning(UserSession.id, sort_by_parameter_order=True), rows)
                tokens = [verifier.verify(token_of(*pair), now) for pair in page]
                execute(
                    insert(SessionToken),
                    [
                        {"token_key": one.key, "session_id": id_, "expires_at": one.expires_at, "is_opener": True}
                        for one, (id_,) in zip(tokens, ids.all(), strict=True)
                    ],
                )


def end_by_call(url: str, user: int, *, everywhere: bool) -> Acknowledged:
    """End a user's sessions through the service; repeat it until it is acknowledged."""
    with urllib3.PoolManager(retries=False, timeout=10) as http:
        while True:
            with suppress(urllib3.exceptions.HTTPError):
                query = "?everywhere=true" if everywhere else ""
                answer = http.request(
                    "DELETE", f"{url}/sessions/user/{user}{query}", headers=basic(*CREDENTIALS.split(":"))
                )
                if answer.status == 200:
                    return Acknowledged(monotonic(), answer.json().get("everywhere", False))
            sleep(0.05)


def end_slowly(app: Flask, user: int) -> Acknowledged:
    """End a user's sessions in a transaction that waits between its statement and its commit."""
    with app.app_context():
        while True:
            try:
                with transaction(writes=True):
                    session_queries.lock_owner(str(user))
                    session_queries.mark_all_ended(str(user), End("admin", "service:backend", utcnow()), None)
                    sleep(0.1)
                return Acknowledged(monotonic(), everywhere=False)
            except DatabaseUnavailable:
                sleep(0.05)


def wait_for_yes(asked: Path, user: int) -> None:
    """Wait until a reader remembers the user's sessions, but not for ever."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        with suppress(FileNotFoundError, ValueError):
            if int(asked.read_text()) >= user:
                return
        sleep(0.005)


def started(words: bytes) -> list[int]:
    """Return the processes of this test with these words in their command."""
    return [pid for pid in children(os.getpid()) if words in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def everything_breaks(remembering: bytes, server: PostgresServer, random: Random) -> Iterator[None]:
    """Freeze who remembers, kill workers and restart PostgreSQL, one after the other, until the caller is done."""
    over = Event()

    def freeze() -> None:
        (pid, *more) = random.choice([[pid, *children(pid)] for pid in started(remembering)])
        for one in (pid, *more):
            os.kill(one, signal.SIGSTOP)
        over.wait(3 * LEASE)
        for one in (pid, *more):
            os.kill(one, signal.SIGCONT)

    def kill_worker() -> None:
        workers = children(started(b"gunicorn.conf.py")[0])
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)

    def restart() -> None:
        server.stop()
        server.start()

    def run() -> None:
        while not over.wait(1.0):
            random.choice([freeze, freeze, kill_worker, restart])()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def hunt(
    server: PostgresServer, kind: str, folder: Path, first: int, users: int, *options: str, breaks: bool = True
) -> list[str]:
    """End the sessions of so many users, one after the other, while readers are asked; return the stale yeses."""
    app = create_app(settings(DATABASE_URL=server.url))
    put_sessions(app, first, users)
    progress, acknowledged, random = folder / "progress", dict[int, Acknowledged](), Random(first)

    def say(turn: int) -> None:
        (folder / "next").write_text(str(turn))
        (folder / "next").replace(progress)

    say(first)
    limits = {"FEED_LEASE_SECONDS": str(LEASE), "SERVICE_CREDENTIALS": CREDENTIALS}
    is_adapter = kind in backends.KINDS
    with (
        gunicorn(server.url, **limits) as url,
        backends.running(kind, url) if is_adapter else nullcontext(url) as asked_url,
    ):
        outputs = [folder / f"reader-{number}" for number in range(READERS)]
        command = [sys.executable, "-m", "tests.harness.stale_yes", kind, asked_url]
        remembering = b"tests.harness.backends" if is_adapter else b"tests.harness.stale_yes"
        readers = [
            subprocess.Popen([*command, str(number), str(progress), str(output), *options], cwd=PROJECT)
            for number, output in enumerate(outputs)
        ]
        try:
            with everything_breaks(remembering, server, random) if breaks else nullcontext():
                for user in range(first, first + users):
                    say(user)
                    wait_for_yes(folder / f"asked-{user % READERS}", user)
                    kind_of_end = random.random()
                    if kind_of_end < 0.3:
                        acknowledged[user] = end_slowly(app, user)
                    else:
                        acknowledged[user] = end_by_call(url, user, everywhere=kind_of_end > 0.95)
            sleep(2 * LEASE)
            say(OVER)
            assert [one.wait(60) for one in readers] == [0] * READERS
        finally:
            for one in readers:
                one.kill()
                one.wait()
        with app.app_context():
            db.engine.dispose()
    last_yes: dict[str, float] = {}
    for output in outputs:
        last_yes |= json.loads(output.read_text())
    asked = {int(session.partition("-")[0]) for session in last_yes}
    assert len(asked & acknowledged.keys()) > 0.9 * users, "the readers were too slow to be asked about each user"
    return [
        f"{session}: {began - end.at:.3f} s"
        for session, began in last_yes.items()
        if (end := acknowledged.get(int(session.partition("-")[0])))
        and began > end.at + (0 if end.everywhere else LEASE)
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_no_yes_begins_later_than_a_lease_after_an_end(
    server: PostgresServer, kind: str, tmp_path: Path, numbers: Numbers
) -> None:
    users = numbers.raced_ends // SESSIONS_PER_USER // 2
    first = FIRST_USER if kind == "threads" else FIRST_USER + users + 10

    assert hunt(server, kind, tmp_path, first, users) == []
    note(f"{users * SESSIONS_PER_USER} ends while readers that remember were asked ({kind}): no yes came too late")


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["flask", "django", "fastapi"])
def test_no_adapter_says_yes_later_than_a_lease_after_an_end(server: PostgresServer, kind: str, tmp_path: Path) -> None:
    first = 100 * FIRST_USER * (1 + list(backends.KINDS).index(kind))

    assert hunt(server, kind, tmp_path, first, 6) == []


@pytest.mark.heavy
def test_a_lease_that_begins_when_the_answer_arrives_is_caught(server: PostgresServer, tmp_path: Path) -> None:
    stale = hunt(server, "threads", tmp_path, 10 * FIRST_USER**2, 25, "late-lease", breaks=False)

    assert stale
