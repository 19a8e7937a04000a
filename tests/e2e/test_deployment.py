"""The files for containers: the Compose file by its schema and its meaning, the image by its steps, without Docker."""

import configparser
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import urllib3
import yaml
from flask_migrate import upgrade
from psycopg import sql

from session_service.app import create_app
from session_service.config import Settings
from session_service.database.engine import db
from tests.harness.image import Image, build, context, is_let_through, settings_of
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, running
from tests.harness.reports import note
from tests.harness.support import SECRET, make_token, settings, sign_in_with

COMPOSE = PROJECT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "session-service" and name != "demo"}
"""The containers of the service; `demo` runs an example in the same image."""
EVERY_DAY = "sleep 86400"
"""What the purge's container does between two purges."""

ODD_PASSWORD = "p@ss:w/rd?#%41 \"'\\&=$x"


# The Compose file


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
        if name in {"migrate", "purge"}:
            assert service["healthcheck"] == {"disable": True}, name
        elif name == "service":
            assert "HEALTHCHECK " in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
            assert "healthcheck" not in service
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_one_service_builds_the_image_and_the_others_depend_on_it() -> None:
    users = {name for name, service in SERVICES.items() if service["image"] == "session-service"}

    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert users == {"migrate", "service", "purge", "demo"}
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
        "demo": {"service": "service_healthy"},
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
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"gateway", "demo"}
    assert SERVICES["demo"]["profiles"] == ["demo"]
    assert SERVICES["demo"]["ports"] == ["127.0.0.1:${DEMO_PORT:-8000}:8000"]
    assert SERVICES["gateway"]["ports"] == ["${GATEWAY_ADDRESS:-127.0.0.1}:${GATEWAY_PORT:-8080}:8080"]
    assert SERVICES["gateway"]["environment"]["GATEWAY_LISTEN"] == "8080"
    assert SERVICES["database"]["networks"] == ["inside"]
    assert SERVICES["gateway"]["networks"] == SERVICES["demo"]["networks"] == ["outside"]


def test_containers_may_do_little() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(mount.endswith(":ro") for mount in service.get("volumes", []) if mount.startswith(".")), name
    for name, service in (OURS | {one: SERVICES[one] for one in ("gateway", "demo")}).items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert "/tmp" in service["tmpfs"] or name == "gateway"


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


# A first production start


def test_the_documented_role_and_database_are_enough_for_the_service(postgres: str) -> None:
    (statements,) = re.findall(r"^```sql\n(.*?)```", (PROJECT / "docs" / "deploy.md").read_text(), re.M | re.S)
    where = urlsplit(postgres)._replace(path="/sessions")
    with psycopg.connect(postgres, autocommit=True) as administrator:
        try:
            for statement in statements.split(";\n"):
                administrator.execute(statement.encode())
            administrator.execute("CREATE ROLE somebody_else LOGIN")
            app = create_app(settings(DATABASE_URL=where._replace(netloc="sessions@").geturl()))
            with app.app_context():
                upgrade()
                db.engine.dispose()
            created = sign_in_with(app.test_client())(74)
            with app.app_context():
                db.engine.dispose()
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(where._replace(netloc="somebody_else@").geturl())
        finally:
            administrator.execute("DROP DATABASE sessions WITH (FORCE)")
            administrator.execute("DROP ROLE sessions, somebody_else")

    assert created.session["is_active"]


# The image


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


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Return the image, in a folder that every user may read."""
    folder = Path(tempfile.mkdtemp(prefix="session-service-image-"))
    folder.chmod(0o755)
    try:
        yield build(folder)
    finally:
        shutil.rmtree(folder)


def test_the_image_holds_the_service_and_what_it_needs_alone(image: Image) -> None:
    assert {path.name for path in image.workdir.iterdir()} == {"gunicorn.conf.py"}
    assert {path.parts[0] for path in context()} == {
        *("LICENSE", "README.md", "gunicorn.conf.py", "migrations", "pyproject.toml"),
        *("requirements.txt", "session_service", "setup.cfg", "wsgi.py"),
    }
    installed = image.run(["python3", "-m", "pip", "list", "--format=freeze"]).stdout.lower()
    assert "gunicorn==" in installed
    assert "pytest==" not in installed
    of_the_package = "from importlib.metadata import metadata as of; print(of('session-service')['License'])"
    assert image.run(["python3", "-c", of_the_package]).stdout == "MIT\n"
    assert image.noted["USER"] == "10001:10001"
    assert image.noted["STOPSIGNAL"] == "SIGTERM"


def once(command: list[str]) -> list[str]:
    """Return a command that ends where the purge's container would sleep until the next day."""
    return [part.replace(EVERY_DAY, "exit") for part in command]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            {"DATABASE_URL": "sqlite:////nowhere/x"},
            "set exactly one of JWT_SECRET_KEY, JWT_PUBLIC_KEY and JWT_JWKS_URL",
        ),
        ({"JWT_SECRET_KEY": SECRET}, "DATABASE_URL must begin with postgresql://"),
    ],
    ids=["no key", "no database"],
)
@pytest.mark.parametrize("of_compose", [None, "migrate", "purge"])
def test_what_is_not_set_is_named_and_nothing_starts(
    image: Image, given: dict[str, str], complaint: str, of_compose: str | None
) -> None:
    command = once(SERVICES[of_compose]["command"]) if of_compose else image.command

    said = image.run(command, {**given, "HOST": "127.0.0.1", "PORT": str(free_port())})

    assert said.returncode != 0
    assert complaint in said.stderr
    assert "Traceback" not in said.stderr


@pytest.fixture
def from_outside(postgres: str, new_database: Callable[[str], str]) -> dict[str, str]:
    """Return where a database is, in libpq's variables: its owner needs a password that no URL could hold as it is."""
    parts = urlsplit(new_database("postgresql"))
    name, owner = parts.path.removeprefix("/"), f"owner_of{parts.path.replace('/', '_')}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(owner), sql.Literal(ODD_PASSWORD))
        )
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*map(sql.Identifier, (name, owner))))
        (rules,) = connection.execute("SHOW hba_file").fetchone() or ()
        text = Path(rules).read_text(encoding="utf-8")
        Path(rules).write_text(f"local all {owner} scram-sha-256\n{text}", encoding="utf-8")
        connection.execute("SELECT pg_reload_conf()")
    (host,) = parse_qs(parts.query)["host"]
    wait_until_refused(host=host, dbname=name, user=owner, password="wrong")
    return {"PGHOST": host, "PGDATABASE": name, "PGUSER": owner}


def wait_until_refused(**whom: Any) -> None:
    deadline = monotonic() + 10
    while monotonic() < deadline:
        try:
            psycopg.connect(**whom).close()
        except psycopg.OperationalError:
            return
    raise AssertionError("the server takes any password")


def somebody_else(image: Image, folder: Path) -> dict[str, Any]:
    """Return whom root lets run the image: *folder*'s owner, who may do nothing else; root where nobody else can."""
    if os.geteuid() != 0:
        return {}
    owner = folder.stat()
    as_whom: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    try:
        image.run(["python3", "-c", ""], **as_whom)
    except PermissionError:
        note("the image's processes ran as root: nobody else may run the Python that is installed here")
        return {}
    return as_whom


def test_the_image_migrates_serves_and_says_whether_it_is_alive(image: Image, from_outside: dict[str, str]) -> None:
    given = {"DATABASE_PASSWORD": ODD_PASSWORD, "JWT_SECRET_KEY": SECRET}
    port = free_port()
    environment = {
        **image.environment,
        **settings_of(SERVICES["service"], given),
        **from_outside,
        **{"HOST": "127.0.0.1", "PORT": str(port)},
    }
    as_whom = somebody_else(image, Path(from_outside["PGHOST"]))
    held = image.files()

    refused = image.run(SERVICES["migrate"]["command"], {**environment, "PGPASSWORD": "wrong"}, **as_whom)
    migrated = image.run(SERVICES["migrate"]["command"], environment, **as_whom)
    purged = image.run(once(SERVICES["purge"]["command"]), environment, **as_whom)

    assert refused.returncode != 0
    assert migrated.returncode == 0, migrated.stderr
    assert purged.returncode == 0, purged.stderr
    url = f"http://127.0.0.1:{port}"
    command = [image.program(image.command[0]), *image.command[1:]]
    with running(command, ready=f"{url}/healthz", environment=environment, cwd=image.workdir, **as_whom):
        alive = image.run(image.healthcheck, environment, **as_whom)
        ready = urllib3.request("GET", f"{url}/readyz")
        created = urllib3.request(
            "POST", f"{url}/sessions/create", headers={"Authorization": f"Bearer {make_token(74)}"}
        )
    gone = image.run(image.healthcheck, environment, **as_whom)

    assert "purged 0 sessions" in purged.stdout
    assert (alive.returncode, alive.stderr) == (0, "")
    assert (ready.status, created.status) == (200, 201), (ready.data, created.data)
    assert gone.returncode != 0
    assert image.files() == held, "the root of a container is read-only"


def test_the_demo_shows_a_sign_in_and_its_session(image: Image, migrated: Callable[[str], str], tmp_path: Path) -> None:
    given = {"JWT_SECRET_KEY": SECRET, "DEMO_PASSWORD": "a password", "DEMO_REFRESH_SECRET_KEY": f"another {SECRET}"}
    port, demo_port = free_port(), free_port()
    service = {"DATABASE_URL": migrated("sqlite"), "JWT_SECRET_KEY": SECRET, "PORT": str(port), "HOST": "127.0.0.1"}
    shutil.copytree(PROJECT / "examples", tmp_path / "examples")
    command = [part.replace("0.0.0.0:8000", f"127.0.0.1:{demo_port}") for part in SERVICES["demo"]["command"]]
    demo = settings_of(SERVICES["demo"], given) | {"SESSION_SERVICE_URL": f"http://127.0.0.1:{port}"}
    serve = [image.program("gunicorn"), *image.command[1:]]
    refused = subprocess.run(
        [image.program("gunicorn"), *command[1:]],
        cwd=tmp_path,
        env=image.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    with (
        running(
            serve, ready=f"http://127.0.0.1:{port}/healthz", environment=image.environment | service, cwd=image.workdir
        ),
        running(
            [image.program("gunicorn"), *command[1:]],
            ready=f"http://127.0.0.1:{demo_port}/",
            environment=image.environment | demo,
            cwd=tmp_path,
        ),
    ):
        url = f"http://127.0.0.1:{demo_port}"
        body = {"email": "user74@example.com", "password": "a password"}
        token = urllib3.request("POST", f"{url}/auth/login", json=body).json()["access_token"]
        listed = urllib3.request("GET", f"{url}/sessions/my-sessions", headers={"Authorization": f"Bearer {token}"})

    assert refused.returncode != 0
    assert "Set JWT_SECRET_KEY." in refused.stderr
    assert [one["user_id"] for one in listed.json() if one["is_current"]] == [74]
