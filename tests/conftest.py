"""What the tests share: two real databases, applications with settings of their own, and people who sign in."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from session_service.app import create_app
from session_service.database.engine import db
from session_service.database.models import Base
from session_service.services.sessions import SessionService
from tests.harness.postgres import PostgresServer
from tests.harness.run_folder import IS_OWNER, RUN_FOLDER
from tests.harness.support import SignIn, components_of, settings, sign_in_with

pytest_plugins = ("tests.harness.reports",)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody with time run the model for longer."""
    parser.addoption(
        "--schema-cases", type=int, default=20_000, help="how many requests are generated from the OpenAPI document"
    )
    parser.addoption("--model-examples", type=int, default=50, help="sequences of up to 50 steps, of test_model.py")


def pytest_unconfigure() -> None:
    """Remove the folder of this run."""
    if IS_OWNER:
        shutil.rmtree(RUN_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a real PostgreSQL server; return the URL of its database `postgres`."""
    with tempfile.TemporaryDirectory(prefix="session-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.start()
        yield server.url
        server.stop()


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
