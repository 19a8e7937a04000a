"""Backups that are taken while people sign in, and restored elsewhere: by the commands of `docs/data.md`.

The detector is `faults_on_record` of `test_kills`, which shows that it would notice. What must not be done with the
files of an SQLite database is shown as well.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_migrate import upgrade
from werkzeug.test import TestResponse

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.callers import Caller
from tests.harness.continuous_load import faults_on_record, signing_in, wait_for_more
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.postgres import PROGRAMS
from tests.harness.records import Records
from tests.harness.servers import gunicorn
from tests.harness.sign_ins import LIMIT
from tests.harness.support import CHROME, SECRET, make_token, settings, sign_in_with

SECTION = re.search(r"^## Backup and restore\n(.*?)^## ", (PROJECT / "docs" / "data.md").read_text(), re.M | re.S)
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SECTION[1] if SECTION else "", re.M | re.S)
COMMANDS = [text for language, text in BLOCKS if language == "sh"]
STATEMENTS = [text for language, text in BLOCKS if language == "sql"]
BACK_UP = {"postgresql": COMMANDS[0], "sqlite": COMMANDS[2]}
RESTORE = {"postgresql": COMMANDS[1], "sqlite": COMMANDS[3]}
AFTER_A_RESTORE = {"postgresql": STATEMENTS[0], "sqlite": STATEMENTS[1]}

THROWN_OUT_BEFORE, THROWN_OUT_AFTER = 101, 102
"""Users, of whom the first of `LIMIT` + 1 devices had to give way: before the backup, and after it."""


def run(commands: str, folder: Path, database_url: str, given: str | None = None) -> None:
    """Run shell commands in a folder, as somebody does who has the service installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(PROGRAMS), os.environ["PATH"]])
    environment = environment_with(PATH=path, DATABASE_URL=database_url, JWT_SECRET_KEY=SECRET)
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", commands],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def migrate(database_url: str) -> None:
    app = create_app(settings(DATABASE_URL=database_url))
    with app.app_context():
        upgrade()
        db.engine.dispose()


@contextmanager
def client_of(database_url: str) -> Iterator[FlaskClient]:
    """Give a client of the service on a database."""
    app = create_app(settings(DATABASE_URL=database_url))
    try:
        yield app.test_client()
    finally:
        with app.app_context():
            db.engine.dispose()


def token_of(user_id: int, device: int) -> str:
    return make_token(user_id, device=device)


def validate(client: FlaskClient, user_id: int, device: int) -> TestResponse:
    """Ask whether the session of a user's device is still alive."""
    headers = {"Authorization": f"Bearer {token_of(user_id, device)}", "User-Agent": CHROME}
    return client.get("/sessions/validate", headers=headers)


@dataclass(frozen=True)
class Backup:
    """A backup, what was known when it began, and how to restore it."""

    kind: str
    before: list[Any]
    """The sessions whose sign-in was acknowledged before it began."""
    after: list[Any]
    """Those acknowledged later, some of them when it was taken already."""
    restore: Callable[[], str]
    """Restores it in a place of its own, and returns the URL."""

    @property
    def ids_ever_told(self) -> set[int]:
        return {one["id"] for one in (*self.before, *self.after)}


def session_of(backup: Backup, user_id: int, device: int) -> Any:
    """Return the session of a user's device as its sign-in was answered."""
    return [one for one in (*backup.before, *backup.after) if one["user_id"] == user_id][device]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backup(
    request: pytest.FixtureRequest, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Backup:
    """Return a backup that was taken while sign-ins went on, and went on after it."""
    kind = request.param
    live = tmp_path_factory.mktemp("live")
    (live / "instance").mkdir()
    url = new_database(kind) if kind == "postgresql" else f"sqlite:///{live}/instance/sessions.sqlite3"
    migrate(url)

    def sign_in(server: str, user_id: int, device: int) -> Any:
        with closing(Caller(server, token_of(user_id, device))) as caller:
            answer = caller.create(f"device {device}")
        assert answer.status == 201
        return answer.body

    with gunicorn(url, MAX_SIGN_INS_PER_MINUTE="0") as server:
        people = [sign_in(server, THROWN_OUT_BEFORE, device) for device in range(LIMIT + 1)]
        people += [sign_in(server, THROWN_OUT_AFTER, device) for device in range(LIMIT)]
        with signing_in(server) as tally:
            wait_for_more(50, tally.acknowledged, "sign-ins")
            known = len(tally.acknowledged)
            run(BACK_UP[kind], live, url)
            wait_for_more(50, tally.acknowledged, "sign-ins")
        last = sign_in(server, THROWN_OUT_AFTER, LIMIT)
        assert [one["id"] for one in last["evicted"]] == [people[LIMIT + 1]["id"]]
        assert (tally.refused, tally.broken) == ([], [])
        # What there is besides the backup when somebody restores it: files that were never closed.
        shutil.copytree(live, left := tmp_path_factory.mktemp("left"), dirs_exist_ok=True)

    def restore() -> str:
        place = tmp_path_factory.mktemp("restored")
        shutil.copytree(left, place, dirs_exist_ok=True)
        there = new_database(kind) if kind == "postgresql" else f"sqlite:///{place}/instance/sessions.sqlite3"
        run(RESTORE[kind], place, there)
        return there

    return Backup(kind, people + tally.acknowledged[:known], [*tally.acknowledged[known:], last], restore)


def test_all_that_was_acknowledged_before_a_backup_is_in_it_and_nothing_half_done(backup: Backup) -> None:
    with closing(Records(backup.restore())) as records:
        assert faults_on_record(backup.before, records) == []
        on_record = {row.id for row in records.rows()}

    # It was taken in the middle: what came later is not in it.
    assert backup.ids_ever_told - on_record


def test_whoever_was_thrown_out_before_the_backup_stays_out_and_the_others_stay_in(backup: Backup) -> None:
    with client_of(backup.restore()) as client:
        thrown_out = validate(client, THROWN_OUT_BEFORE, 0)
        others = [validate(client, THROWN_OUT_BEFORE, device).status_code for device in range(1, LIMIT + 1)]
        assert client.get("/readyz").status_code == 200

    assert (thrown_out.status_code, thrown_out.json["code"], thrown_out.json["end_reason"]) == (
        401,
        "session_ended",
        "limit",
    )
    assert others == [200] * LIMIT


def test_an_end_after_the_backup_is_forgotten_until_it_is_repeated(backup: Backup) -> None:
    with client_of(backup.restore()) as client:
        assert validate(client, THROWN_OUT_AFTER, 0).status_code == 200

        forgotten = session_of(backup, THROWN_OUT_AFTER, 0)["id"]
        ended = client.application.test_cli_runner().invoke(args=["sessions", "end", "--session", str(forgotten)])

        assert ended.exit_code == 0, ended.output
        assert validate(client, THROWN_OUT_AFTER, 0).json["code"] == "session_ended"
        assert validate(client, THROWN_OUT_AFTER, 1).status_code == 200


def test_everybodys_sessions_can_be_ended_after_a_restore_and_all_sign_in_again(backup: Backup) -> None:
    url = backup.restore()
    after_a_restore(backup.kind, url)

    with client_of(url) as client:
        for user_id in (THROWN_OUT_BEFORE, THROWN_OUT_AFTER):
            for device in range(LIMIT + 1):
                assert validate(client, user_id, device).json["code"] == "session_ended"
        forgotten = validate(client, THROWN_OUT_AFTER, 0)
        assert (forgotten.status_code, forgotten.json["end_reason"]) == (401, "admin")
        again = sign_in_with(client)(THROWN_OUT_AFTER)
        assert again.get("/sessions/validate").status_code == 200
        assert [one["id"] for one in again.get("/sessions/my-sessions").json] == [again.id]
        listed = again.get("/sessions/my-sessions?include_inactive=true").json
        assert {one["end_reason"] for one in listed if not one["is_active"]} == {"admin"}
    assert again.id > max(backup.ids_ever_told)
    with closing(Records(url)) as records:
        assert [row for row in records.rows("ended_at IS NOT NULL") if row.ended_at < row.last_activity] == []


def test_an_id_would_be_used_twice_if_only_the_backup_were_restored(backup: Backup) -> None:
    with client_of(backup.restore()) as client:
        again = sign_in_with(client)(THROWN_OUT_AFTER)

    assert again.id in backup.ids_ever_told
    assert again.id not in {one["id"] for one in backup.before}


def after_a_restore(kind: str, database_url: str) -> None:
    """Run the statements that end everybody's sessions and let ids go on far from those that were told."""
    if kind == "postgresql":
        command = 'psql --quiet --set ON_ERROR_STOP=1 --single-transaction "$DATABASE_URL"'
        run(command, PROJECT, database_url, given=AFTER_A_RESTORE[kind])
        return
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as file:
        file.executescript(AFTER_A_RESTORE[kind])


# The files of an SQLite database


@dataclass
class Files:
    """An SQLite database whose newest sign-in is in its `-wal` alone, with a backup from before that."""

    folder: Path
    client: FlaskClient
    first: int
    newest: int

    @property
    def database(self) -> Path:
        return self.folder / "instance" / "sessions.sqlite3"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """Give the files of a service that is running."""
    (tmp_path / "instance").mkdir()
    url = f"sqlite:///{tmp_path}/instance/sessions.sqlite3"
    migrate(url)
    with client_of(url) as client:
        sign_in = sign_in_with(client)
        first = sign_in(1).id
        run(BACK_UP["sqlite"], tmp_path, url)
        yield Files(tmp_path, client, first, sign_in(2).id)


def ids_in(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        return [number for (number,) in connection.execute("SELECT id FROM sessions ORDER BY id")]


def test_a_copy_of_the_file_alone_is_no_backup(files: Files) -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(closing(sqlite3.connect(files.database)))
        busy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        third = sign_in_with(files.client)(3).id
        shutil.copy(files.database, copy := files.folder / "copy")

        assert ids_in(files.database) == [files.first, files.newest, third]
        assert ids_in(copy) == [files.first, files.newest]


def test_a_backup_beside_the_old_wal_is_spoilt(files: Files) -> None:
    elsewhere = files.folder / "elsewhere"
    shutil.copytree(files.folder / "instance", elsewhere)
    shutil.copy(files.folder / "sessions.backup", elsewhere / "sessions.sqlite3")

    assert ids_in(files.folder / "sessions.backup") == [files.first]
    # Pages of both: the sessions of later are back, or the file cannot be read at all.
    try:
        spoilt: list[int] | None = ids_in(elsewhere / "sessions.sqlite3")
    except sqlite3.DatabaseError:
        spoilt = None
    assert spoilt in (None, [files.first, files.newest])


def test_a_backup_is_not_written_over_another_one(files: Files) -> None:
    before = (files.folder / "sessions.backup").read_bytes()

    with pytest.raises(AssertionError, match="already exists"):
        run(BACK_UP["sqlite"], files.folder, f"sqlite:///{files.database}")

    assert (files.folder / "sessions.backup").read_bytes() == before


def test_a_running_service_goes_on_with_the_files_that_were_put_in_place(files: Files) -> None:
    run(RESTORE["sqlite"], files.folder, f"sqlite:///{files.database}")

    device = sign_in_with(files.client)(3)

    assert ids_in(files.database) == [files.first, device.id]
    with closing(sqlite3.connect(files.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ids_in(files.folder / "set-aside" / "sessions.sqlite3") == [files.first, files.newest]
