"""A pytest plugin: databases on both systems, empty ones and one with our tables for each process of the run."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from flask_migrate import upgrade
from psycopg.sql import SQL, Identifier

from session_service.app import create_app
from session_service.database.engine import db
from session_service.database.models import Base
from tests.harness.postgres import start_shared_postgres, stop_shared_postgres
from tests.harness.support import settings
from tests.run_folder import IS_OWNER, RUN_FOLDER

KEPT = {"purge_totals", "purged_events"}
"""Tables with rows that a migration puts there."""

_postgres_options: list[str] = []
_connections: dict[str, Any] = {}
"""Connections to this process's databases, by URL."""


def pytest_configure(config: pytest.Config) -> None:
    """Let commits return before they are on disk where nothing of the run depends on that (`--quick`)."""
    if config.getoption("--quick"):
        _postgres_options.extend(("-c", "synchronous_commit=off"))


def pytest_unconfigure() -> None:
    """Close what is open. The first process also stops PostgreSQL and removes the run's folder: it ends last."""
    for connection in _connections.values():
        connection.close()
    if IS_OWNER:
        stop_shared_postgres()
        shutil.rmtree(RUN_FOLDER, ignore_errors=True)


def _once_in_a_run(name: str, make: Callable[[], str]) -> str:
    """Return what *make* returns; the first process of the run that gets here calls it."""
    made = RUN_FOLDER / name
    with made.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not made.exists():
            made.write_text(make())
        return made.read_text()


@cache
def postgres_url() -> str:
    """Return the URL of the database `postgres` of a real server, which all processes of the run share."""
    return _once_in_a_run("postgres-url", lambda: start_shared_postgres(*_postgres_options))


def make_database(kind: str) -> str:
    """Make an empty database; return its URL.

    Args:
        kind: "sqlite" or "postgresql".
    """
    return _new_file() if kind == "sqlite" else _new_postgres_database("template1")


@cache
def migrated_database(kind: str) -> str:
    """Return the URL of this process's database of a kind, with our tables."""
    template = _once_in_a_run(f"{kind}-template", lambda: _migrate(make_database(kind)))
    if kind == "postgresql":
        return _new_postgres_database(urlsplit(template).path.removeprefix("/"))
    url = _new_file()
    shutil.copy(_path_of(template), _path_of(url))
    return url


def delete_rows(url: str) -> None:
    """Delete all rows of a database with our tables, in one round trip, over a connection that stays open."""
    tables = [table.name for table in reversed(Base.metadata.sorted_tables) if table.name not in KEPT]
    statements = "; ".join(f"DELETE FROM {table}" for table in tables)
    if url not in _connections:
        _connections[url] = _connect(url)
    if url.startswith("sqlite"):
        _connections[url].executescript(f"BEGIN IMMEDIATE; {statements}; COMMIT")
    else:
        _connections[url].execute(statements)


def _connect(url: str) -> Any:
    # A test that leaves a transaction open makes a later one fail, rather than wait for ever.
    if url.startswith("sqlite"):
        connection = sqlite3.connect(_path_of(url), isolation_level=None, timeout=20)
        connection.execute("PRAGMA synchronous = OFF")
        return connection
    return psycopg.connect(url, autocommit=True, options="-c lock_timeout=20s")


def _new_file() -> str:
    path = Path(tempfile.mkdtemp(prefix="sqlite-", dir=RUN_FOLDER)) / "sessions.sqlite3"
    path.touch()
    return f"sqlite:///{path}"


def _new_postgres_database(template: str) -> str:
    name = Path(tempfile.mkdtemp(prefix="database_", dir=RUN_FOLDER)).name
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    return urlsplit(postgres_url())._replace(path=f"/{name}").geturl()


def _migrate(url: str) -> str:
    app = create_app(settings(DATABASE_URL=url))
    with app.app_context():
        upgrade()
        db.engine.dispose()
    return url


def _path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


@pytest.fixture(scope="session")
def postgres() -> str:
    """Return the URL of the database `postgres` of a real PostgreSQL server."""
    return postgres_url()


@pytest.fixture(scope="session")
def new_database() -> Callable[[str], str]:
    """Return a function that makes an empty database of a kind, and returns its URL."""
    return make_database


@pytest.fixture(scope="session")
def migrated() -> Callable[[str], str]:
    """Return a function that returns the URL of this process's database of a kind, with our tables."""
    return migrated_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database with our tables and without rows. Each test that uses it runs on both kinds."""
    url = migrated_database(request.param)
    delete_rows(url)
    return url
