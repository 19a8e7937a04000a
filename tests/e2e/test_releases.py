"""The release before this one, as it was served: beside this code, on its tables, and back on its own.

What is run is the archive in `tests/harness/releases`, in a folder of its own. The detector is `faults_of_release`;
what shows that it would notice is a change of the tables that no release may make.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import urllib3
from flask_migrate import downgrade, upgrade
from packaging.version import Version

from session_service import __version__
from session_service.app import create_app
from session_service.database.engine import db
from session_service.database.models import SCHEMA_REVISION
from tests.harness.callers import Caller
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT, RELEASES
from tests.harness.records import Faults, Records
from tests.harness.servers import gunicorn
from tests.harness.sign_ins import LIMIT, creates_at_once, faults_of_creates
from tests.harness.support import SECRET, make_token, settings

ARCHIVE = max(RELEASES.glob("*.tar.gz"))
RELEASE = ARCHIVE.name.removeprefix("session-service-").removesuffix(".tar.gz")
SCHEMA = "0001"
"""The last migration of that release."""

_users = count(1_000)


@dataclass(frozen=True)
class Upgrade:
    """A database that the release before has made, and its server, which goes on whatever is done to the tables."""

    code: Path
    database_url: str
    old: str
    new: Callable[[], str]
    """Returns the URL of a server of the present code, which is started once."""

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the release before."""
        return run_old(self.code, self.database_url, *arguments)

    def migrate(self, revision: str) -> None:
        """Bring the tables to *revision* with the present code's migrations, from wherever they are."""
        app = create_app(settings(DATABASE_URL=self.database_url))
        with app.app_context():
            (upgrade if revision == SCHEMA_REVISION else downgrade)(revision=revision)
            db.engine.dispose()


def run_old(code: Path, database_url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    given = environment_with(DATABASE_URL=database_url, JWT_SECRET_KEY=SECRET)
    return subprocess.run(command, cwd=code, env=given, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the code of the release before."""
    folder = tmp_path_factory.mktemp(RELEASE)
    subprocess.run(["tar", "-xzf", str(ARCHIVE), "-C", str(folder)], check=True)
    return folder


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, code: Path, new_database: Callable[[str], str]) -> Iterator[Upgrade]:
    """Give a database of each kind that the release before has made and serves."""
    url = new_database(request.param)
    run_old(code, url, "db", "upgrade")
    flood = {"MAX_SIGN_INS_PER_MINUTE": "0"}
    with ExitStack() as stack:
        old = stack.enter_context(gunicorn(url, code=str(code), **flood))
        started: list[str] = []

        def new() -> str:
            if not started:
                started.append(stack.enter_context(gunicorn(url, **flood)))
            return started[0]

        yield Upgrade(code, url, old, new)


def get(url: str) -> Any:
    with urllib3.PoolManager(retries=False, timeout=10) as http:
        return http.request("GET", url)


class Device(Caller):
    """A user's device, with a fingerprint and a token of its own, which may call either server."""

    def __init__(self, url: str, user_id: int) -> None:
        self.name, self.token = f"device {next(_users)}", make_token(user_id, n=next(_users))
        super().__init__(url, self.token)

    def sign_in(self) -> Any:
        return self.create(self.name)

    def at(self, url: str) -> Caller:
        """Return a caller with the same token at another server."""
        return Caller(url, self.token)


def faults_of_release(opens: str, sees: str) -> Faults:
    """Find what does not work where a device signs in at one server and goes on at another, or at the same one."""
    faults: Faults = []
    user_id = next(_users)
    with ExitStack() as stack:

        def expect(what: str, seen: object, wanted: object) -> None:
            if seen != wanted:
                faults.append(f"{what}: {seen}")

        for url in (opens, sees):
            expect("is not ready", get(f"{url}/readyz").status, 200)
        devices = [stack.enter_context(closing(Device(opens, user_id))) for _ in range(LIMIT + 1)]
        created = [device.sign_in() for device in devices]
        expect("does not sign in", {answer.status for answer in created}, {201})
        if faults:
            return faults
        ids = [answer.body["id"] for answer in created]
        evicted, leaving, revoked, staying = (stack.enter_context(closing(device.at(sees))) for device in devices)
        expect("does not list", _ids(staying.call("GET", "/sessions/my-sessions").body), set(ids[1:]))
        expect("does not let in", staying.call("GET", "/sessions/validate").status, 200)
        expect("does not know activity", staying.call("POST", "/sessions/update-activity").status, 200)
        expect("does not keep the limit", _refusal(evicted), (401, "session_ended", "limit"))
        expect("does not sign out", leaving.call("DELETE", "/sessions/logout").status, 200)
        expect("does not end another one", staying.call("DELETE", f"/sessions/session/{ids[2]}").status, 200)
        # Where it was signed in, it is refused at once.
        expect("lets in who has signed out", _refusal(devices[1]), (401, "session_ended", "logout"))
        expect("lets in who was thrown out", _refusal(devices[2]), (401, "session_ended", "revoked"))
        expect("lets in who was thrown out, here", _refusal(revoked), (401, "session_ended", "revoked"))
        expect("does not list", _ids(devices[3].call("GET", "/sessions/my-sessions").body), {ids[3]})
    return faults


def _ids(listed: Any) -> Any:
    return {one["id"] for one in listed} if isinstance(listed, list) else listed


def _refusal(caller: Caller) -> object:
    answer = caller.call("GET", "/sessions/validate")
    return answer.status, answer.code, (answer.body or {}).get("end_reason")


COLUMNS = {
    "sessions": "id, sid, user_id, device_fingerprint, device_key, device_name, device_type, browser, os, user_agent, "
    "ip_address, ip_source, network, created_at, last_activity, expires_at, ended_at, end_reason, ended_by, "
    "successor_id",
    "session_tokens": "token_key, session_id, expires_at, is_opener",
    "session_owners": "user_id",
}
"""What the release before knows of each table."""


def everything(database_url: str) -> dict[str, list[Any]]:
    """Return all that the release before knows of, row by row."""
    with closing(Records(database_url)) as records:
        return {
            table: sorted(records.run(f"SELECT {columns} FROM {table}"), key=repr) for table, columns in COLUMNS.items()
        }


def test_the_release_before_is_the_newest_in_the_changelog_and_older_than_this_code() -> None:
    named = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", (PROJECT / "CHANGELOG.md").read_text(), re.M)

    assert [path.name for path in RELEASES.glob("*.tar.gz")] == [f"session-service-{named[0]}.tar.gz"]
    assert Version(RELEASE) < Version(__version__)


def test_what_is_run_is_the_code_of_the_release_before(upgraded: Upgrade) -> None:
    assert get(f"{upgraded.old}/openapi.json").json()["info"]["version"] == RELEASE
    assert get(f"{upgraded.new()}/openapi.json").json()["info"]["version"] == __version__
    revisions = sorted(path.name[:4] for path in (upgraded.code / "migrations" / "versions").glob("0*.py"))
    assert revisions[-1] == SCHEMA


def test_the_release_before_runs_on_the_new_tables(upgraded: Upgrade) -> None:
    upgraded.migrate(SCHEMA_REVISION)

    assert faults_of_release(upgraded.old, upgraded.old) == []
    assert upgraded.command("sessions", "purge").stdout.startswith("recorded 0 ends, ")
    assert upgraded.command("sessions", "list", "74").stderr == "no sessions\n"


def test_a_change_of_the_tables_that_the_release_before_does_not_know_would_be_noticed(upgraded: Upgrade) -> None:
    upgraded.migrate(SCHEMA_REVISION)
    with closing(Records(upgraded.database_url)) as records:
        records.run("ALTER TABLE sessions RENAME COLUMN ip_source TO source_of_ip")
        faults = faults_of_release(upgraded.old, upgraded.old)
        records.run("ALTER TABLE sessions RENAME COLUMN source_of_ip TO ip_source")

    assert faults == ["does not sign in: {503}"]
    assert faults_of_release(upgraded.old, upgraded.old) == []


@pytest.mark.parametrize("opens", ["old", "new"])
def test_both_releases_serve_one_database_and_each_knows_what_the_other_did(upgraded: Upgrade, opens: str) -> None:
    upgraded.migrate(SCHEMA_REVISION)
    urls = [upgraded.old, upgraded.new()]

    assert faults_of_release(*(urls if opens == "old" else reversed(urls))) == []


@pytest.mark.parametrize("_", range(3))
def test_the_device_limit_holds_over_both_releases(upgraded: Upgrade, _: int) -> None:
    upgraded.migrate(SCHEMA_REVISION)

    # No more for each server than one of its workers has connections: whoever waits for one may be refused.
    load = creates_at_once([upgraded.old, upgraded.new()], upgraded.database_url, 12, user_id=next(_users))

    assert [answer.status for answer in load.answers] == [201] * 12
    assert faults_of_creates(load) == []
    assert len(load.active) == LIMIT


def test_what_the_release_before_put_on_record_is_there_after_the_upgrade(upgraded: Upgrade) -> None:
    upgraded.migrate(SCHEMA)
    user_id = next(_users)
    with ExitStack() as stack:
        left, stays = (stack.enter_context(closing(Device(upgraded.old, user_id))) for _ in range(2))
        ids = [device.sign_in().body["id"] for device in (left, stays)]
        assert left.call("DELETE", "/sessions/logout").status == 200
        before = everything(upgraded.database_url)

        upgraded.migrate(SCHEMA_REVISION)

        assert everything(upgraded.database_url) == before
        gone, there = (stack.enter_context(closing(device.at(upgraded.new()))) for device in (left, stays))
        assert _refusal(gone) == (401, "session_ended", "logout")
        assert _ids(there.call("GET", "/sessions/my-sessions").body) == {ids[1]}


def test_going_back_a_step_keeps_the_sessions_and_the_release_before_goes_on(upgraded: Upgrade) -> None:
    upgraded.migrate(SCHEMA_REVISION)
    with closing(Device(upgraded.new(), next(_users))) as device:
        opened = device.sign_in().body["id"]
        before = everything(upgraded.database_url)

        upgraded.migrate(SCHEMA)

        assert everything(upgraded.database_url) == before
        assert get(f"{upgraded.new()}/readyz").json()["missing"] == [
            f"the database schema is at {SCHEMA}, needed is {SCHEMA_REVISION}: run the migrations"
        ]
        with closing(device.at(upgraded.old)) as there:
            assert _ids(there.call("GET", "/sessions/my-sessions").body) == {opened}
    assert faults_of_release(upgraded.old, upgraded.old) == []
