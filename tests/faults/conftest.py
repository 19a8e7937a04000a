"""What several modules of this folder share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.harness.postgres import PostgresServer, own_postgres
from tests.harness.servers import fleet


@pytest.fixture(scope="package")
def start_fleet() -> Iterator[Callable[..., list[str]]]:
    """Return a function that starts the service on a database, once for this folder and each choice of settings."""
    with ExitStack() as stack:

        @cache
        def start(database_url: str, **settings: str) -> list[str]:
            return stack.enter_context(fleet(database_url, **settings))

        yield start


@pytest.fixture
def urls(database_url: str, start_fleet: Callable[..., list[str]]) -> list[str]:
    """Return the addresses of two gunicorns on one database without rows."""
    return start_fleet(database_url)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a PostgreSQL server of this module's own, with our tables."""
    with own_postgres() as server:
        yield server
