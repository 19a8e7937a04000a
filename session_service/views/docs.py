"""The OpenAPI document, and a page that shows it. The page needs no file from another host."""

from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Response, current_app, jsonify, send_from_directory

from session_service import errors
from session_service.views.openapi import finished
from session_service.views.parsing import StrictBlueprint
from session_service.views.problems import documented

OWN_FILES = Path(__file__).resolve().parent.parent / "ui"
SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
FILES = {
    "docs.js": OWN_FILES,
    "favicon-32x32.png": SWAGGER_UI,
    "swagger-ui-bundle.js": SWAGGER_UI,
    "swagger-ui.css": SWAGGER_UI,
}
"""The files that the page needs, with their folders."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Inline styles are allowed because Swagger UI sets style attributes; scripts only from this service's own files."""

bp = StrictBlueprint("docs", __name__, description="The description of the API.")
assets = Blueprint("assets", __name__)
"""The page's files. They are no part of the API, so the document does not describe them."""


@bp.get("/openapi.json")
@bp.response(200, {"type": "object"})
@bp.doc(operationId="getOpenapiDocument", security=[], responses=documented(errors.InternalError))
def openapi_document() -> Response:
    """Return this document (OpenAPI 3.1)."""
    api: Any = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    return jsonify(finished(api.spec.to_dict()))


@bp.get("/docs")
@bp.response(200, {"type": "string"}, content_type="text/html")
@bp.doc(operationId="getDocsPage", security=[], responses=documented(errors.InternalError))
def page() -> Response:
    """Show this document as a web page."""
    response = send_from_directory(OWN_FILES, "docs.html", conditional=False)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@assets.get("/docs/<name>")
def asset(name: str) -> Response:
    """Send a file that the page needs."""
    if name not in FILES:
        raise errors.RouteNotFound
    return send_from_directory(FILES[name], name, conditional=False)
