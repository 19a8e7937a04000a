"""The units for systemd and the line for cron: the server and the daily purge. No systemd or cron runs them here."""

import configparser
import re
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from session_service.webhooks.endpoints import MAX_SECONDS
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, running, wait_until
from tests.harness.reports import require_tool
from tests.harness.servers import wait_for_workers
from tests.harness.support import SECRET
from tests.harness.webhooks import entry, receiving, write_file

UNITS = PROJECT / "deploy" / "systemd"
CODE, SETTINGS = "/opt/session-service", "/etc/session-service.env"
"""What the units and the line for cron take for granted."""


def complaints(folder: Path) -> str:
    """Return what `systemd-analyze` reports about the units in a folder; their programs are not installed here."""
    program = require_tool("systemd-analyze")
    units = sorted(folder.iterdir())
    for unit in units:
        unit.write_text(re.sub(rf"{CODE}/.venv/bin/\w+", "/bin/true", unit.read_text()))
    command = [program, "verify", *map(str, units)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    assert complaints(shutil.copytree(UNITS, tmp_path / "units")) == ""


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        ("session-service-purge.service", "NoNewPrivileges", "NoNewPrivilege"),
        ("session-service-purge.timer", "03:17:00", "33:17:00"),
        ("session-service.service", "ProtectSystem", "ProtectSystems"),
        ("session-service.service", "@system-service", "@system-services"),
        ("session-service-webhooks.service", "ProtectSystem", "ProtectSystems"),
    ],
)
def test_a_broken_unit_would_be_noticed(tmp_path: Path, unit: str, right: str, wrong: str) -> None:
    units = shutil.copytree(UNITS, tmp_path / "units")
    text = (units / unit).read_text()
    (units / unit).write_text(text.replace(right, wrong))

    assert right in text
    assert wrong in complaints(units)


def here(commands: str, folder: Path, settings: Mapping[str, str]) -> str:
    """Return a shell's commands with this project's paths in place of those of an installation, and write its settings.

    As `systemd` would read it: one NAME='value' per line.
    """
    file = folder / "settings.env"
    file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    return (
        commands.replace(SETTINGS, str(file))
        .replace(f"{CODE}/.venv/bin/", ".venv/bin/")
        .replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        .replace(CODE, str(PROJECT))
    )


def started(service: Mapping[str, str]) -> str:
    """Return a shell's commands that do what `systemd` does: the file's settings, the folder, the program."""
    assert (service["EnvironmentFile"], service["WorkingDirectory"]) == (SETTINGS, CODE)
    return f"set -a; . {SETTINGS}; cd {CODE}; exec {service['ExecStart']}"


def unit(name: str) -> Mapping[str, str]:
    """Return the section [Service] of a unit."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser["Service"]


def run_here(commands: str, folder: Path, database_url: str) -> str:
    """Run a shell's commands as if this project were an installation; return their output."""
    commands = here(commands, folder, {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET})
    done = subprocess.run(
        ["/bin/sh", "-c", commands], cwd=folder, env=environment_with(), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_unit_runs_the_purge(database_url: str, tmp_path: Path, client: FlaskClient) -> None:
    before = purge_runs(client)

    said = run_here(started(unit("session-service-purge.service")), tmp_path, database_url)

    assert said.startswith("recorded 0 ends, purged 0 sessions")
    assert purge_runs(client) == before + 1


def test_the_unit_starts_the_server_which_reports_that_it_listens(database_url: str, tmp_path: Path) -> None:
    port, service = free_port(), unit("session-service.service")
    settings = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "PORT": str(port), "DRAIN_SECONDS": "0"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path := str(tmp_path / "notify"))
        systemd.settimeout(20)
        command = ["/bin/sh", "-c", here(started(service), tmp_path, settings)]
        with running(
            command, ready=f"http://127.0.0.1:{port}/readyz", environment=environment_with(NOTIFY_SOCKET=path)
        ):
            reported = systemd.recv(4_096).decode()
            wait_for_workers(f"http://127.0.0.1:{port}")

    assert service["Type"] == "notify"
    assert reported.startswith("READY=1")


def test_the_unit_delivers_webhooks_and_stops_in_time(database_url: str, tmp_path: Path, client: FlaskClient) -> None:
    service = unit("session-service-webhooks.service")
    with receiving() as receiver:
        file = write_file(tmp_path, entry(receiver, "unit"))
        settings = {"DATABASE_URL": database_url, "JWT_SECRET_KEY": SECRET, "WEBHOOKS": file}
        command = ["/bin/sh", "-c", here(started(service), tmp_path, settings)]
        with subprocess.Popen(command, env=environment_with(), stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: 'endpoint="unit"' in client.get("/metrics").text, "the endpoint is on record")
            finally:
                process.terminate()
            assert process.wait(20) == 0

    assert int(service["TimeoutStopSec"]) > MAX_SECONDS


def test_the_unit_lets_the_server_drain_before_it_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))  # which it changes, and which is put back
    gunicorn, service = runpy.run_path(str(PROJECT / "gunicorn.conf.py")), unit("session-service.service")

    # A SIGTERM that reaches a worker itself would stop it without draining.
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > gunicorn["drain_seconds"] + gunicorn["graceful_timeout"]


def test_the_line_for_cron_runs_the_purge(database_url: str, tmp_path: Path, client: FlaskClient) -> None:
    lines = re.findall(r"^```crontab\n(.*)\n```$", (PROJECT / "docs" / "deploy.md").read_text(), re.M)
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
