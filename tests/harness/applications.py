"""A pytest plugin: applications on the test's database, and people who sign in."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from session_service.app import create_app
from session_service.config import Settings
from session_service.database.engine import db
from session_service.services.sessions import SessionService
from tests.harness.support import MakeApp, SignIn, components_of, settings, sign_in_with

REMEMBERS_ANSWERS = ("JWT_JWKS_URL", "AUTH_SERVER_USER_URL", "AUTH_SERVER_USERINFO_URL")
"""With one of these settings an application remembers answers of an auth server, so that each test needs a new one."""

_made: dict[tuple[str, ...], Flask] = {}
"""The applications of this process, by all of their settings."""


def _application(chosen: Settings) -> Flask:
    """Return the application with these settings; make it if there is none yet."""
    if any(getattr(chosen, name) is not None for name in REMEMBERS_ANSWERS):
        return create_app(chosen)
    key = tuple(repr(getattr(chosen, field.name)) for field in fields(chosen))
    if key not in _made:
        _made[key] = create_app(chosen)
    return _made[key]


def _disconnect(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def make_app(database_url: str) -> Iterator[MakeApp]:
    """Return a function that returns an application on the test's database, with the settings given.

    Tests share applications with equal settings: nothing may be added to one (see `new_app`).
    """
    with ExitStack() as stack:

        def make(**values: Any) -> Flask:
            app = _application(settings(DATABASE_URL=database_url, **values))
            if values:  # the one without is used again soon
                stack.callback(_disconnect, app)
            return app

        yield make


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Return an application on the test's database."""
    return make_app()


@pytest.fixture
def new_app(database_url: str) -> Iterator[Flask]:
    """Return an application of the test's own, which may add a view to it."""
    app = create_app(settings(DATABASE_URL=database_url))
    yield app
    _disconnect(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of that application."""
    return app.test_client()


@pytest.fixture
def service(app: Flask) -> Iterator[SessionService]:
    """Return the use cases, within the application's context: an object of the test's own, which it may change."""
    built = components_of(app)
    with app.app_context():
        yield SessionService(built.settings, built.user_directory)


@pytest.fixture
def sign_in(client: FlaskClient) -> SignIn:
    """Return a function that signs a user in on a device, by a token of its own and `POST /sessions/create`."""
    return sign_in_with(client)


def pytest_unconfigure() -> None:
    """Close all connections of this process."""
    for app in _made.values():
        _disconnect(app)
