"""The image without Docker: what it holds, and that it migrates, serves, purges, and says whether it is alive."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import urllib3
from psycopg import sql

from tests.harness.compose import EVERY_DAY, SERVICES, settings_of
from tests.harness.image import Image, build, context
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, running
from tests.harness.reports import note
from tests.harness.support import SECRET, make_token

ODD_PASSWORD = "p@ss:w/rd?#%41 \"'\\&=$x"


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
        *("LICENSE", "README.md", "client", "gunicorn.conf.py", "migrations", "pyproject.toml"),
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
