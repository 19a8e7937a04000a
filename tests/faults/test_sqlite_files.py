"""An SQLite file that is locked, read-only, gone, damaged or on a full disk: 503 in time, and then it goes on.

Never is there a new, empty database in place of one that should be there.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from time import monotonic

import pytest
from flask_migrate import upgrade
from werkzeug.test import TestResponse

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.outage import MOST_SECONDS, SLACK
from tests.harness.reports import note
from tests.harness.support import FIREFOX, SignedIn, make_token, settings, sign_in_with

_numbers = count(1)


class Place:
    """A service on a file of its own, and a device that is signed in."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "sessions.sqlite3"
        self.app = create_app(settings(DATABASE_URL=f"sqlite:///{self.file}", MAX_SESSIONS_PER_USER=1_000))
        with self.app.app_context():
            upgrade()
        self.device: SignedIn = sign_in_with(self.app.test_client())()
        self.waits: list[float] = []

    def create(self) -> TestResponse:
        return self._timed("/sessions/create", "POST", make_token(74, n=f"more {next(_numbers)}"))

    def validate(self) -> TestResponse:
        return self._timed("/sessions/validate", "GET", self.device.headers["Authorization"].partition(" ")[2])

    def _timed(self, path: str, method: str, token: str) -> TestResponse:
        began = monotonic()
        answer = self.app.test_client().open(
            path, method=method, headers={"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
        )
        self.waits.append(monotonic() - began)
        return answer

    def let_go(self) -> None:
        with self.app.app_context():
            db.engine.dispose()

    def files(self) -> list[Path]:
        """Return the file and what lies beside it."""
        return [Path(f"{self.file}{suffix}") for suffix in ("", "-wal", "-shm")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a service on a file in an ordinary folder."""
    place = Place(tmp_path)
    yield place
    place.let_go()


def refused(place: Place, *answers: TestResponse) -> bool:
    """Return whether these are refusals as they should be, and none took too long."""
    told = {(one.status_code, one.json["code"], one.headers.get("Retry-After")) for one in answers}
    return told == {(503, "database_unavailable", "1")} and max(place.waits) < MOST_SECONDS + SLACK


def test_a_refusal_of_another_kind_would_be_noticed(place: Place) -> None:
    assert not refused(place, place.app.test_client().get("/sessions/validate"))
    place.waits.append(MOST_SECONDS + SLACK)
    with closing(sqlite3.connect(place.file)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not refused(place, place.create())


def test_a_file_that_another_process_locks_can_be_read(place: Place) -> None:
    lock = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(); input()"
    command = [sys.executable, "-c", lock, str(place.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline()
        assert refused(place, place.create(), place.create())
        assert place.validate().status_code == 200
        other.communicate(b"\n")

    assert place.create().status_code == 201
    note(f"an SQLite file locked by another process: the longest wait {max(place.waits):.2f} s")


def test_a_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "gone.sqlite3"
    client = create_app(settings(DATABASE_URL=f"sqlite:///{missing}")).test_client()

    answer = client.post("/sessions/create", headers={"Authorization": f"Bearer {make_token()}"})
    ready = client.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert (ready.status_code, ready.json["missing"]) == (503, ["the database does not answer"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_is_let_go_of_and_taken_up_when_it_is_back(place: Place, tmp_path: Path) -> None:
    assert place.create().status_code == 201
    place.let_go()  # so that all is in the one file
    aside = tmp_path / "aside"
    assert place.create().status_code == 201

    place.file.rename(aside)
    assert refused(place, place.create(), place.validate())
    assert not place.file.exists()
    aside.rename(place.file)

    assert (place.create().status_code, place.validate().status_code) == (201, 200)


@pytest.mark.parametrize("content", [b"", b"this is no database" * 1_000], ids=["empty", "rubbish"])
def test_another_file_in_its_place_is_not_taken_for_it(place: Place, content: bytes) -> None:
    place.let_go()
    kept = place.file.read_bytes()
    assert place.validate().status_code == 200

    replacement = place.file.with_suffix(".new")
    replacement.write_bytes(content)
    replacement.replace(place.file)
    for file in place.files()[1:]:
        file.unlink(missing_ok=True)
    assert refused(place, place.create(), place.validate())
    replacement.write_bytes(kept)
    replacement.replace(place.file)

    assert (place.create().status_code, place.validate().status_code) == (201, 200)


def test_a_file_that_is_damaged_is_no_fault_of_ours(place: Place) -> None:
    place.let_go()
    with place.file.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (place.file.stat().st_size - 4_096))

    assert refused(place, place.create(), place.validate())


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 1 MB, or an ordinary one where no such disk may be mounted."""
    with ExitStack() as stack:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "session-service-tests", str(tmp_path)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            stack.callback(subprocess.run, ["umount", "--lazy", str(tmp_path)], check=True)
        yield tmp_path


def is_small(folder: Path) -> bool:
    return shutil.disk_usage(folder).total < 2_000_000


def fill(place: Place) -> Callable[[], object]:
    """Leave the place hardly any room; return what gives it back."""
    folder = place.file.parent
    if is_small(folder):
        ballast = folder / "ballast"
        ballast.write_bytes(b"x" * (shutil.disk_usage(folder).free - 100_000))
        return ballast.unlink
    note("no small disk may be mounted here: instead SQLite was told that its file may not grow")
    with place.app.app_context(), db.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
    return place.let_go


def test_a_full_disk_costs_no_session_that_was_acknowledged(small: Path) -> None:
    place = Place(small)
    give_back = fill(place)
    answers = [place.create() for _ in range(300)]
    acknowledged = [answer.json["id"] for answer in answers if answer.status_code == 201]
    full = [answer for answer in answers if answer.status_code != 201]
    give_back()
    after = place.create()
    place.let_go()

    assert full
    assert refused(place, *full)
    assert after.status_code == 201
    with closing(sqlite3.connect(place.file)) as records:
        on_record = {one for (one,) in records.execute("SELECT id FROM sessions")}
        assert records.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert {*acknowledged, after.json["id"]} <= on_record
    assert len(on_record) == len(acknowledged) + 2
    note(f"a full disk: {len(acknowledged)} acknowledged sign-ins, {len(full)} refused")


def test_a_disk_that_can_only_be_read_is_no_place_for_sign_ins(small: Path) -> None:
    place = Place(small)
    if is_small(small):
        forbid, allow = ["mount", "-o", "remount,ro", str(small)], ["mount", "-o", "remount,rw", str(small)]
    elif os.geteuid() != 0:
        forbid, allow = ["chmod", "-R", "a-w", str(small)], ["chmod", "-R", "u+w", str(small)]
    else:
        note("no disk may be mounted here: a read-only one was not tried, as root may write everywhere")
        return
    place.let_go()

    subprocess.run(forbid, check=True)
    created, validated = place.create(), place.validate()
    place.let_go()
    subprocess.run(allow, check=True)

    assert refused(place, created)
    assert validated.status_code == 200 or refused(place, validated)
    assert (place.create().status_code, place.validate().status_code) == (201, 200)
    place.let_go()
