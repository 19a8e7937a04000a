"""Applications without a database: nobody listens where it should be."""

import pytest
from flask import Flask

from session_service.app import create_app
from tests.harness.support import settings

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.fixture(scope="session")
def app() -> Flask:
    """Return an application. Nothing may be added to it (see `new_app`)."""
    return create_app(settings(DATABASE_URL=NOWHERE))


@pytest.fixture
def new_app() -> Flask:
    """Return an application of the test's own, which may add a view to it."""
    return create_app(settings(DATABASE_URL=NOWHERE))
