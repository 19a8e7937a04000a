"""The application factory: settings, extensions, views, commands. It decides nothing itself."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask_cors import CORS

from session_service import __version__, metrics
from session_service.auth_server.jwks import verification_keys
from session_service.auth_server.tokens import AuthServerTokens, TokenVerifier
from session_service.auth_server.user_directory import UserDirectory
from session_service.cli import register_commands
from session_service.components import NAME, Components
from session_service.config import Settings
from session_service.database.engine import db, migrate, using
from session_service.services.current_session import PlainLookup
from session_service.services.everywhere import Everywhere
from session_service.services.feed import Feed
from session_service.services.sessions import SessionService
from session_service.services.sign_in import SignIn
from session_service.views import (
    admin,
    docs,
    feed,
    ops,
    pages,
    parsing,
    problems,
    request_hooks,
    search,
    sessions,
    statistics,
    validation,
)
from session_service.views.fast_path import FastPath
from session_service.views.json_answers import JsonAnswers
from session_service.views.openapi import describe_api

EXPOSED_HEADERS = [
    "Location",
    "Retry-After",
    "X-Request-ID",
    "X-Session-Code",
    "X-Session-Id",
    "X-Session-Would-Evict",
    "X-Session-Would-Refuse",
    "X-User-Id",
]
"""Headers of an answer that pages of other origins may read."""

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class _Application(Flask):
    """Flask, except that it does not inspect each hook and view in each request: none of them is a coroutine."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, with the *settings* of the environment unless others are given.

    Raises:
        ConfigError: the settings cannot be used; the message names every problem.
    """
    settings = settings or Settings.from_environ(os.environ)
    app = _Application(__name__, static_folder=None)
    _configure(app)
    db.prepare(app, settings.DATABASE_URL, settings.DATABASE_CONNECTIONS)
    migrate.init_app(app, db, directory=str(MIGRATIONS), compare_type=True)
    built = app.extensions[NAME] = _build(settings)
    _register_views(app, built)
    register_commands(app)
    if not settings.observes:  # what is observed is never plain
        connections = db.connections_of(app)
        lookup = PlainLookup(connections, settings)
        app.wsgi_app = FastPath(app.wsgi_app, built, lookup, partial(using, connections))  # type: ignore[method-assign]
    metrics.info.labels(__version__).set(1)
    return app


def _configure(app: Flask) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=parsing.MAX_BODY_BYTES,
        JWT_TOKEN_LOCATION=("headers",),
        API_TITLE="Session Service",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
    )
    app.json = JsonAnswers(app)
    # A redirect is an answer without JSON, to a path that the caller did not ask for.
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = parsing.RestOfPath


def _build(settings: Settings) -> Components:
    user_directory = UserDirectory(settings)
    return Components(
        settings=settings,
        tokens=TokenVerifier(settings, verification_keys(settings)),
        user_directory=user_directory,
        sign_in=SignIn(settings),
        sessions=SessionService(settings, user_directory),
        feed=Feed(settings),
        everywhere=Everywhere(settings),
    )


def _register_views(app: Flask, built: Components) -> None:
    request_hooks.init_app(app)
    app.after_request(parsing.drain_after)
    jwt = AuthServerTokens(built.tokens)
    jwt.init_app(app)
    problems.init_app(app, jwt)
    api = problems.ProblemApi(app)
    describe_api(api, built.settings)
    own = (sessions.bp, validation.validation, validation.introspection)
    for blueprint in (*own, admin.bp, search.bp, statistics.bp, feed.bp, ops.bp, docs.bp):
        api.register_blueprint(blueprint)
    app.register_blueprint(docs.assets)
    app.register_blueprint(pages.bp)
    if built.settings.CORS_ALLOWED_ORIGINS:
        CORS(
            app,
            origins=list(built.settings.CORS_ALLOWED_ORIGINS),
            methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            expose_headers=EXPOSED_HEADERS,
            supports_credentials=False,
            send_wildcard=True,
            always_send=False,
            max_age=600,
        )
