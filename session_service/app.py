"""The application factory: settings, extensions, views, commands. Decides nothing itself."""

import os
from pathlib import Path
from typing import Any

from flask import Flask
from flask_cors import CORS

from session_service import __version__, metrics
from session_service.cli import register_commands
from session_service.config import Settings
from session_service.database import database_url, engine_options, prepare_engine
from session_service.directory import UserDirectory
from session_service.extensions import db, jwt, migrate
from session_service.places import Places
from session_service.service import SessionService
from session_service.views import admin, backend, docs, every_request, ops, parsing, problems, sessions
from session_service.views.openapi import describe_api

EXPOSED_HEADERS = ["Location", "Retry-After", "X-Request-ID", "X-Session-Code", "X-Session-Id", "X-User-Id"]
"""What pages of other origins may read of an answer."""

SECONDS_WITHOUT_AN_ANSWER = 1.0
"""Where all connections of a process are in use, and none of them was answered for so long, others are refused."""

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class _App(Flask):
    def ensure_sync(self, func: Any) -> Any:
        """Return *func*: nothing here is a coroutine, and Flask looks ten times in each request."""
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, with the *settings* of the environment unless others are given.

    Raises:
        ConfigError: the settings cannot be used; the message names every problem.
    """
    settings = settings or Settings.from_environ(os.environ)
    app = _App(__name__, static_folder=None)
    app.extensions["settings"] = settings
    _configure(app, settings)
    db.init_app(app)
    metrics.info.labels(__version__).set(1)
    app.extensions["database_places"] = Places(
        settings.DATABASE_CONNECTIONS, patience=SECONDS_WITHOUT_AN_ANSWER, longest=every_request.SECONDS
    )
    with app.app_context():
        prepare_engine(db.engine)
    migrate.init_app(app, db, directory=str(MIGRATIONS), compare_type=True)
    jwt.init_app(app)
    directory = app.extensions["user_directory"] = UserDirectory(settings)
    app.extensions["session_service"] = SessionService(settings, directory)
    _register_views(app, settings)
    register_commands(app)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    url = database_url(settings.DATABASE_URL)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(url, settings.DATABASE_CONNECTIONS),
        MAX_CONTENT_LENGTH=parsing.MAX_BODY_BYTES,
        # The keys are in the token verifier; the extension only wants to know that there are some.
        JWT_TOKEN_LOCATION=("headers",),
        API_TITLE="Session Service",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    # A redirect would be an answer that is no JSON, to a path that nobody meant.
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = parsing.RestOfPath


def _register_views(app: Flask, settings: Settings) -> None:
    every_request.init_app(app)
    app.after_request(parsing.drain_after)
    problems.init_app(app)
    api = problems.ProblemApi(app)
    describe_api(api, settings)
    for blueprint in (sessions.bp, backend.validation, backend.introspection, admin.bp, ops.bp, docs.bp):
        api.register_blueprint(blueprint)
    if settings.CORS_ALLOWED_ORIGINS:
        CORS(
            app,
            origins=list(settings.CORS_ALLOWED_ORIGINS),
            methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            expose_headers=EXPOSED_HEADERS,
            supports_credentials=False,
            send_wildcard=True,
            always_send=False,
            max_age=600,
        )
