"""The pages for people: the files of the custom element and of the console. They hold no data: anyone may read them.

A page asks the API for data, with the token of whoever looks at it. The files are no part of the API, so the OpenAPI
document does not describe them.
"""

import re
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, g, request

from session_service import errors

UI = Path(__file__).resolve().parent.parent / "ui"
SESSION_LIST = (UI / "session-list.js").read_bytes()
SESSION_LIST_HASH = sha256(SESSION_LIST).hexdigest()[:16]
"""Part of the name that caches may keep; changes with the content."""

REVALIDATED, IMMUTABLE = "no-cache", "public, max-age=31536000, immutable"

CONSOLE = {path.name: path.read_bytes() for path in sorted((UI / "console").iterdir()) if path.is_file()}
CONSOLE_PAGE = CONSOLE.pop("index.html")
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}
CONSOLE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""An admin's token is pasted into the console: no other page may reach into it, and no other script may run in it."""

bp = Blueprint("pages", __name__)


@bp.get("/sessions/ui/<name>")
def session_list(name: str) -> Response:
    """Send the element's module: `session-list.js`, or `session-list.<16 hexadecimal digits>.js`.

    A name with this content's digits may be kept for a year. One with other digits is of another release, and gets
    this content, which must not be kept: a page that names an older release keeps working.
    """
    named = re.fullmatch(r"session-list(?:\.([0-9a-f]{16}))?\.js", name)
    if named is None:
        raise errors.RouteNotFound
    return sent(SESSION_LIST, "text/javascript", IMMUTABLE if named[1] == SESSION_LIST_HASH else REVALIDATED)


@bp.get("/console")
def console() -> Response:
    """Send the page for admins. It is not kept, so that the browser does not keep it with a token in it."""
    return Response(CONSOLE_PAGE, mimetype="text/html", headers=CONSOLE_HEADERS)


@bp.get("/console/<name>")
def console_file(name: str) -> Response:
    """Send a file that the console needs."""
    if name not in CONSOLE:
        raise errors.RouteNotFound
    return sent(CONSOLE[name], MEDIA_TYPES[Path(name).suffix])


def sent(content: bytes, media_type: str, cache_control: str = REVALIDATED) -> Response:
    """Return a file as an answer, or 304 if the caller has this content (RFC 9110 section 13.1.2)."""
    response = Response(content, mimetype=media_type)
    response.set_etag(sha256(content).hexdigest()[:16])
    response.make_conditional(request)
    # The same for every origin, and a module is only loaded with it. With the origins of the API, a cache would have to
    # keep the file once for each.
    response.headers["Access-Control-Allow-Origin"] = "*"
    g.cache_control = cache_control
    return response
