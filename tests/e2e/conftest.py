"""What several modules of this folder share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.harness.servers import gunicorn


@pytest.fixture(scope="module")
def start_service() -> Iterator[Callable[[str], str]]:
    """Return a function that serves a database by gunicorn, once for a module, and returns the server's URL."""
    with ExitStack() as stack:
        yield cache(lambda database_url: stack.enter_context(gunicorn(database_url)))
