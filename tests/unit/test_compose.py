"""The Compose file by its schema and its meaning, and what the image's build is given, without Docker."""

import configparser
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from session_service.config import Settings
from session_service.webhooks.endpoints import MAX_SECONDS
from tests.harness.compose import COMPOSE, EVERY_DAY, SERVICES, settings_of
from tests.harness.image import is_let_through
from tests.harness.paths import PROJECT
from tests.harness.support import SECRET

OURS = {name: service for name, service in SERVICES.items() if service["image"] == "session-service" and name != "demo"}
"""The containers of the service; `demo` runs an example in the same image."""


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the schema of Compose files."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_compose_file_is_one() -> None:
    checked = check(COMPOSE)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "version" not in yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only: true", "read_only: [true]"),
        ("stop_grace_period:", "stop_graceful_period:"),
        ("condition: service_healthy", "condition: service_well"),
    ],
)
def test_a_broken_compose_file_would_be_noticed(tmp_path: Path, right: str, wrong: str) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")

    assert right in text
    assert check(broken).returncode != 0


def test_whatever_serves_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        if name in {"migrate", "purge", "webhooks"}:
            assert service["healthcheck"] == {"disable": True}, name
        elif name == "service":
            assert "HEALTHCHECK " in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
            assert "healthcheck" not in service
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_one_service_builds_the_image_and_the_others_depend_on_it() -> None:
    users = {name for name, service in SERVICES.items() if service["image"] == "session-service"}

    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert users == {"migrate", "service", "purge", "webhooks", "demo"}
    for name in users - {"migrate"}:
        needed = set(SERVICES[name]["depends_on"])
        while "migrate" not in needed:
            assert needed, name
            needed = {below for one in needed for below in SERVICES[one].get("depends_on", {})}
        # No registry is asked for an image of this name.
        assert SERVICES[name]["pull_policy"] == "never", name


def test_the_purge_runs_once_a_day_and_again_after_a_failure() -> None:
    purge = SERVICES["purge"]

    assert purge["restart"] == "unless-stopped"
    assert purge["init"], "a shell as the first process ignores SIGTERM"
    assert "profiles" not in purge
    assert f"; do {EVERY_DAY}; done; exit 1" in purge["command"][-1]


def test_the_webhooks_have_a_container_of_their_own_with_the_file_and_time_to_finish_a_call() -> None:
    service = SERVICES["webhooks"]

    assert service["command"] == ["flask", "--app", "wsgi", "webhooks", "deliver"]
    assert (service["profiles"], service["secrets"]) == (["webhooks"], ["webhooks"])
    assert service["environment"]["WEBHOOKS"] == "/run/secrets/webhooks"
    assert int(service["stop_grace_period"].removesuffix("s")) > MAX_SECONDS
    assert all(SERVICES[name]["environment"]["WEBHOOKS"] == "" for name in OURS if name != "webhooks")


def test_nothing_starts_before_what_it_needs() -> None:
    waits = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }

    assert waits == {
        "gateway": {"service": "service_healthy"},
        "service": {"migrate": "service_completed_successfully"},
        "migrate": {"database": "service_healthy"},
        "purge": {"migrate": "service_completed_successfully"},
        "webhooks": {"migrate": "service_completed_successfully"},
        "demo": {"service": "service_healthy"},
        "demo-react": {"gateway": "service_healthy"},
        "database": {},
    }


def test_secrets_come_from_outside_and_the_databases_is_asked_for() -> None:
    for name, service in SERVICES.items():
        for variable, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|_KEY|CREDENTIALS|JWKS", variable):
                from_outside = r"\$\{(DATABASE_PASSWORD:\?[^}]+|(SERVICE_CREDENTIALS|DEMO_REFRESH_SECRET_KEY):-)\}"
                assert value is None or re.fullmatch(from_outside, value), (name, variable)
    assert SERVICES["database"]["environment"]["POSTGRES_PASSWORD"] is not None
    for service in OURS.values():
        with pytest.raises(KeyError, match="set DATABASE_PASSWORD"):
            settings_of(service, {"JWT_SECRET_KEY": SECRET})


def test_every_setting_can_be_given() -> None:
    ours = {setting.name for setting in fields(Settings)} | {"WEB_CONCURRENCY", "DRAIN_SECONDS"}

    for name, service in OURS.items():
        assert ours <= service["environment"].keys(), name
        assert service["environment"].keys() - ours == {"PGHOST", "PGDATABASE", "PGUSER", "PGPASSWORD"}


def test_the_gateway_alone_is_reached_from_outside_and_only_from_this_machine() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"gateway", "demo", "demo-react"}
    assert SERVICES["demo"]["profiles"] == SERVICES["demo-react"]["profiles"] == ["demo"]
    assert SERVICES["demo-react"]["ports"] == ["127.0.0.1:8001:8001"]
    assert SERVICES["demo"]["ports"] == ["127.0.0.1:${DEMO_PORT:-8000}:8000"]
    assert SERVICES["gateway"]["ports"] == ["${GATEWAY_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"]
    assert SERVICES["gateway"]["environment"]["GATEWAY_LISTEN"] == "8080"
    assert SERVICES["database"]["networks"] == ["inside"]
    assert SERVICES["gateway"]["networks"] == SERVICES["demo"]["networks"] == ["outside"]


def test_containers_may_do_little() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(mount.endswith(":ro") for mount in service.get("volumes", []) if mount.startswith(".")), name
    for name, service in (OURS | {one: SERVICES[one] for one in ("gateway", "demo", "demo-react")}).items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["tmpfs"][0].partition(":")[0] == "/tmp" or name == "gateway"


def test_what_is_mounted_exists_and_images_have_a_version() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            assert not mount.startswith(".") or (PROJECT / mount.split(":")[0]).exists(), mount
        assert re.fullmatch(r"session-service|\w+:\d[\w.]*", service["image"])


def test_a_stopping_service_is_given_the_time_that_gunicorn_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))  # which it changes, and which is put back
    gunicorn = runpy.run_path(str(PROJECT / "gunicorn.conf.py"))

    takes = gunicorn["graceful_timeout"] + gunicorn["drain_seconds"]
    assert int(SERVICES["service"]["stop_grace_period"].removesuffix("s")) > takes


EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")


OPTIONAL = [(name, value) for name, value in re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, re.M)]


def test_the_example_of_an_environment_names_what_is_required_and_fills_nothing_in() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string("[env]\n" + EXAMPLE)

    required = ("DATABASE_PASSWORD", "JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "JWT_JWKS_URL", "SERVICE_CREDENTIALS")
    assert dict(parser["env"]) == dict.fromkeys([*required, "DEMO_PASSWORD", "DEMO_REFRESH_SECRET_KEY"], "")
    for variable in parser["env"]:
        assert variable in COMPOSE.read_text(encoding="utf-8"), variable


@pytest.mark.parametrize(("name", "value"), OPTIONAL, ids=[name for name, _ in OPTIONAL])
def test_a_line_of_the_example_can_be_uncommented_as_it_is(name: str, value: str) -> None:
    assert re.fullmatch(r"[\w./:-]+", value), "no quotes and no comment behind it are needed"
    if name in {setting.name for setting in fields(Settings)}:
        environment = {"JWT_SECRET_KEY": SECRET, name: value}
        given = getattr(Settings.from_environ(environment), name)
        assert given != getattr(Settings.from_environ({"JWT_SECRET_KEY": SECRET}), name)
        assert settings_of(OURS["service"], {"DATABASE_PASSWORD": "x", **environment})[name] == value
    else:
        assert f"${{{name}:-" in COMPOSE.read_text(encoding="utf-8")


def test_every_line_of_the_example_is_a_comment_a_setting_or_an_optional_setting() -> None:
    for line in EXAMPLE.splitlines():
        assert re.fullmatch(r"|# .+|#?[A-Z_]+=\S*", line), line


@pytest.mark.parametrize(
    ("path", "through"),
    [
        ("wsgi.py", True),
        ("migrations/versions/0001.py", True),
        ("session_service/views/__pycache__/x.pyc", False),
        (".env", False),
        (".git/config", False),
        ("instance/development-secret", False),
        ("tests/harness/support.py", False),
        ("docs/wsgi.py", False),
    ],
)
def test_the_build_is_given_what_it_needs_and_nothing_else(path: str, through: bool) -> None:
    assert is_let_through(Path(path), (PROJECT / ".dockerignore").read_text(encoding="utf-8")) == through
