"""The application factory: settings, extensions, views, commands. Decides nothing itself."""

import os
from pathlib import Path
from uuid import uuid4

from flask import Flask, Response, g, request
from flask_cors import CORS

from session_service import __version__
from session_service.cli import register_commands
from session_service.config import Settings
from session_service.database import database_url, engine_options, prepare_engine
from session_service.directory import UserDirectory
from session_service.extensions import db, jwt, migrate
from session_service.service import SessionService
from session_service.views import admin, backend, docs, ops, parsing, problems, sessions
from session_service.views.openapi import describe_api

EXPOSED_HEADERS = ["Location", "Retry-After", "X-Request-ID", "X-Session-Code", "X-Session-Id", "X-User-Id"]
"""What pages of other origins may read of an answer."""

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, with the *settings* of the environment unless others are given.

    Raises:
        ConfigError: the settings cannot be used; the message names every problem.
    """
    settings = settings or Settings.from_environ(os.environ)
    app = Flask(__name__, static_folder=None)
    app.extensions["settings"] = settings
    _configure(app, settings)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    migrate.init_app(app, db, directory=str(MIGRATIONS), compare_type=True)
    jwt.init_app(app)
    app.extensions["session_service"] = SessionService(settings, UserDirectory(settings))
    _register_views(app, settings)
    register_commands(app)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    url = database_url(settings.DATABASE_URL)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(url),
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
    app.before_request(_begin)
    app.after_request(_finish)
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


def _begin() -> Response | None:
    g.request_id = uuid4().hex
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        # Whatever the path: a page may only read the 404 of a call whose preflight was not refused.
        return Response()
    return None


def _finish(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-ID"] = g.request_id
    return response
