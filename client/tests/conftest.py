"""Both clients, each against a service in memory behind a real HTTP server."""

from collections.abc import Iterator

import pytest
from stub import Driven, StubServer, driven, stub


@pytest.fixture
def server() -> Iterator[StubServer]:
    """Return the server."""
    with stub() as started:
        yield started


@pytest.fixture(params=["threads", "tasks"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return which client the test drives."""
    return str(request.param)


@pytest.fixture
def client(kind: str, server: StubServer) -> Iterator[Driven]:
    """Return a client of the server."""
    with driven(kind, server) as started:
        yield started
