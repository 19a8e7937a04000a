"""What the OpenAPI document says beyond what the views say of themselves."""

from flask_smorest import Api

from session_service.config import Settings
from session_service.errors import MethodNotAllowed, RouteNotFound
from session_service.rules.identifiers import MAX_ID, MAX_TEXT_LENGTH
from session_service.views.problems import documented
from session_service.views.schemas import UserId

DESCRIPTION = """\
Device sessions, limits and sign-out for access tokens that another server issues.

Send that server's access token as `Authorization: Bearer …`. Every error is a problem document (RFC 9457)
with a stable `code` for programs and a `detail` for people. An unknown path is 404 `not_found`, a wrong method 405
`method_not_allowed`. A request that is not readable HTTP is 400 `bad_request`, 414 `uri_too_long`, 417
`expectation_failed` or 431 `headers_too_large`, whatever its path.
"""


def describe_api(api: Api, settings: Settings) -> None:
    """Add to *api* the description, the ways to authenticate, and what a user's id looks like here."""
    spec = api.spec
    spec.options["info"] = {"description": DESCRIPTION}
    spec.options["security"] = [{"accessToken": []}]
    for name, kind in (("NotFound", RouteNotFound), ("MethodNotAllowed", MethodNotAllowed)):
        spec.components.response(name, next(iter(documented(kind).values())))
    spec.components.security_scheme(
        "accessToken",
        {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The auth server's access token."},
    )
    spec.components.security_scheme(
        "service", {"type": "http", "scheme": "basic", "description": "A name and secret of `SERVICE_CREDENTIALS`."}
    )
    if settings.USER_ID_TYPE == "integer":
        user_id = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
        api.register_field(UserId, "integer", "int64")
    else:
        user_id = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH}
        api.register_field(UserId, "string", None)
    spec.components.schema("UserId", user_id)
