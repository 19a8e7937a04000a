"""What runs the purge once a day: the units for systemd, and the line for cron. No systemd or cron runs them here."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.reports import require_tool
from tests.harness.support import SECRET

UNITS = PROJECT / "deploy" / "systemd"
CODE, SETTINGS = "/opt/session-service", "/etc/session-service.env"
"""What the units and the line for cron take for granted."""


def complaints(folder: Path) -> str:
    """Return what systemd has to say of the units in a folder, whose program is not at its place here."""
    program = require_tool("systemd-analyze")
    service = folder / "session-service-purge.service"
    service.write_text(service.read_text().replace(f"{CODE}/.venv/bin/flask", "/bin/true"))
    command = [program, "verify", str(service), str(folder / "session-service-purge.timer")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    assert complaints(shutil.copytree(UNITS, tmp_path / "units")) == ""


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        ("session-service-purge.service", "NoNewPrivileges", "NoNewPrivilege"),
        ("session-service-purge.timer", "03:17:00", "33:17:00"),
    ],
)
def test_a_broken_unit_would_be_noticed(tmp_path: Path, unit: str, right: str, wrong: str) -> None:
    units = shutil.copytree(UNITS, tmp_path / "units")
    text = (units / unit).read_text()
    (units / unit).write_text(text.replace(right, wrong))

    assert right in text
    assert wrong in complaints(units)


def run_here(commands: str, folder: Path, database_url: str) -> str:
    """Run a shell's commands with this project's places in place of those of an installation; return what they say."""
    settings = folder / "settings.env"
    settings.write_text(f"DATABASE_URL='{database_url}'\nJWT_SECRET_KEY='{SECRET}'\n")
    commands = (
        commands.replace(SETTINGS, str(settings))
        .replace(f"{CODE}/.venv/bin/", ".venv/bin/")
        .replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        .replace(CODE, str(PROJECT))
    )
    done = subprocess.run(
        ["/bin/sh", "-c", commands], cwd=folder, env=environment_with(), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_unit_runs_the_purge(database_url: str, tmp_path: Path, client: FlaskClient) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNITS / "session-service-purge.service")
    service = unit["Service"]
    before = purge_runs(client)
    assert (service["EnvironmentFile"], service["WorkingDirectory"]) == (SETTINGS, CODE)

    # As systemd would: the file's settings, the folder, the program.
    said = run_here(f"set -a; . {SETTINGS}; cd {CODE}; exec {service['ExecStart']}", tmp_path, database_url)

    assert said.startswith("recorded 0 ends, purged 0 sessions")
    assert purge_runs(client) == before + 1


def test_the_line_for_cron_runs_the_purge(database_url: str, tmp_path: Path, client: FlaskClient) -> None:
    lines = re.findall(r"^```crontab\n(.*)\n```$", (PROJECT / "docs" / "operations.md").read_text(), re.M)
    assert len(lines) == 1
    *when, user, command = lines[0].split(maxsplit=6)
    before = purge_runs(client)

    said = run_here(command, tmp_path, database_url)

    assert ([*when], user) == (["17", "3", "*", "*", "*"], "session-service")
    # cron takes a % for the end of the line.
    assert "%" not in command
    assert said.startswith("recorded 0 ends, purged 0 sessions")
    assert purge_runs(client) == before + 1


def purge_runs(client: FlaskClient) -> int:
    """Return how many purges the database has seen."""
    found = re.search(r"^session_service_purge_runs_total (\d+)", client.get("/metrics").text, re.M)
    assert found
    return int(found[1])
