"""Commands for people."""

import subprocess
import sys
from datetime import timedelta

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from session_service.app import create_app
from session_service.records import Client, Principal
from session_service.services.sign_in import SignIn
from tests.harness.commands import command
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.purge_rows import DAY, NOON, token
from tests.harness.support import CHROME, SECRET, MakeApp, components_of, settings, sign_in_with


def test_people_list_end_and_purge_by_commands(make_app: MakeApp) -> None:
    app = make_app(RETENTION_DAYS=0)
    with app.app_context():
        service = components_of(app).sessions
        for number, agent in enumerate((CHROME, "Firefox")):
            SignIn(service.settings).create_session(
                {}, by=Principal(user_id="74"), token=token(number), client=Client(agent, "203.0.113.7"), now=NOON
            )
    with time_machine.travel(NOON + DAY, tick=False):
        first, second = command(app, "list", "74")[1].splitlines()
        ended = command(app, "end", "--session", second.split()[0])
        closed = command(app, "end", "--user", "74")
        active, listed = command(app, "list", "74"), command(app, "list", "--all", "74")
    with time_machine.travel(NOON + DAY + timedelta(minutes=2), tick=False):
        would = command(app, "purge", "--dry-run")
        purged = command(app, "purge", "--batch", "1")

    assert "active" in first
    assert "Chrome on Windows 10" in second
    assert ended == (0, f"session {second.split()[0]} has ended\n", "")
    assert closed == (0, "sessions ended: 1\n", "")
    assert active == (0, "", "no sessions\n")
    assert listed[1].count("admin 2026-02-09T12:00:00Z by service:cli") == 2
    # A retention of 0 days is allowed; both commands warn of it.
    assert (would[0], would[2].count("\n"), would[2].startswith("warning: RETENTION_DAYS is shorter")) == (0, 1, True)
    assert would[1] == "would have recorded 0 ends, purged 2 sessions, 0 tokens and 0 events\n"
    assert purged[0] == 0
    assert purged[1].startswith("recorded 0 ends, purged 2 sessions, 0 tokens and 0 events; longest transaction ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("end",), "one of --user, --session and --where"),
        (("end", "--user", "1", "--session", "1"), "one of --user, --session and --where"),
        (("end", "--session", "999999"), "Session not found"),
        (("end", "--session", "0"), "--session"),
        (("list", "x"), "no user can have this id"),
        (("purge", "--batch", "0"), "--batch"),
    ],
)
def test_commands_that_make_no_sense_say_so(app: Flask, words: tuple[str, ...], complaint: str) -> None:
    code, _, complaints = command(app, *words)

    assert code != 0
    assert complaint in complaints


def test_a_token_for_trying_things_out_works(app: Flask, client: FlaskClient) -> None:
    printed = app.test_cli_runner().invoke(args=["token", "74", "--role", "admin", "--minutes", "5"])

    response = client.get("/sessions/user/75", headers={"Authorization": f"Bearer {printed.output.strip()}"})

    assert (printed.exit_code, response.status_code) == (0, 200)
    claims = jwt.decode(printed.output.strip(), SECRET, algorithms=["HS256"])
    assert (claims["id"], claims["role"]) == (74, "admin")


@pytest.mark.parametrize("user_id", ["0", "x", "074", str(2**63)])
def test_a_token_for_nobody_is_refused(app: Flask, user_id: str) -> None:
    printed = app.test_cli_runner().invoke(args=["token", user_id])

    assert printed.exit_code != 0
    assert "USER_ID" in printed.output


def test_without_the_shared_secret_no_token_can_be_made() -> None:
    public = (
        "-----BEGIN PUBLIC KEY-----\\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n"
        "-----END PUBLIC KEY-----"
    )
    app = create_app(settings(JWT_PUBLIC_KEY=public, DATABASE_URL="postgresql://x@127.0.0.1:9/x"))

    printed = app.test_cli_runner().invoke(args=["token", "74"])

    assert printed.exit_code == 1
    assert "no JWT_SECRET_KEY" in printed.output


def test_ending_a_users_sessions_may_say_why(app: Flask, client: FlaskClient) -> None:
    device, run = sign_in_with(client)(74), app.test_cli_runner().invoke

    wrong = run(args=["sessions", "end", "--session", str(device.id), "--because", "security"])
    done = run(args=["sessions", "end", "--user", "74", "--because", "security"])

    assert (wrong.exit_code, done.exit_code, done.output) == (2, 0, "sessions ended: 1\n")
    assert device.get("/sessions/my-sessions").json["because"] == "security"


UNREACHABLE = "postgresql://somebody:a-password@127.0.0.1:9/nothing"
COMMANDS = [
    "db upgrade",
    "db current",
    "sessions list 74",
    "sessions end --user 74",
    "sessions end --session 1",
    "sessions purge",
    "sessions purge --dry-run",
    "sessions export 74",
    "sessions erase 74",
    "sessions erase 74 --yes",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreachable_database_is_one_line_from_every_command(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command.split()],
        cwd=PROJECT,
        env=environment_with(DATABASE_URL=UNREACHABLE, JWT_SECRET_KEY=SECRET),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "The database did not answer: OperationalError: connection failed" in line
    assert "Traceback" not in line
    assert "a-password" not in line
    assert done.stdout == ""
