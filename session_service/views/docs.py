"""The API described: the OpenAPI document, and a page that shows it with no file from another host."""

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, current_app, send_from_directory

SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
SWAGGER_UI_FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"})

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI sets style attributes; scripts come from this service's own files alone."""

bp = Blueprint("docs", __name__)


@bp.get("/docs")
def page() -> Response:
    """Show the page."""
    response = send_from_directory(Path(current_app.root_path) / "static", "docs.html")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@bp.get("/docs/<name>")
def asset(name: str) -> Response:
    """Send one of the page's own files, or of Swagger UI's."""
    folder = SWAGGER_UI if name in SWAGGER_UI_FILES else Path(current_app.root_path) / "static"
    return send_from_directory(folder, name)
