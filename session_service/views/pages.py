"""The pages for people: the files of the custom element. They hold no data, so anyone may read them.

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
