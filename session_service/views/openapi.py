"""What the OpenAPI document says beyond what the views say of themselves."""

from typing import Any

from flask_smorest import Api

from session_service.config import Settings
from session_service.rules.identifiers import MAX_ID, MAX_TEXT_LENGTH
from session_service.views.fields import COMPONENT, VOCABULARIES
from session_service.views.problems import ERROR_CODES

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
    spec.options["info"] = {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}}
    spec.options["security"] = [{"accessToken": []}]
    spec.options["servers"] = [{"url": "/", "description": "This service, or the gateway in front of it."}]
    spec.components.security_scheme(
        "accessToken",
        {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The auth server's access token."},
    )
    spec.components.security_scheme(
        "service", {"type": "http", "scheme": "basic", "description": "A name and secret of `SERVICE_CREDENTIALS`."}
    )
    if settings.USER_ID_TYPE == "integer":
        user_id = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "example": 74}
    else:
        user_id = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_LENGTH, "example": "auth0|507f1f77"}
    spec.components.schema("UserId", user_id)
    for name, (values, description) in VOCABULARIES.items():
        spec.components.schema(name, {"type": "string", "enum": list(values), "description": description})
    codes = {"type": "string", "enum": ERROR_CODES, "description": "What went wrong, for programs."}
    spec.components.schema("ErrorCode", codes)


def finished(described: Any) -> Any:
    """Return the described document, with a reference to a named component wherever a field is marked with one.

    Generators of clients make one type of each component; an enumeration that stands in each schema anew would become
    a type for each of them.
    """
    if isinstance(described, list):
        return [finished(one) for one in described]
    if not isinstance(described, dict):
        return described
    if COMPONENT not in described:
        return {name: finished(value) for name, value in described.items()}
    reference = {"$ref": f"#/components/schemas/{described[COMPONENT]}"}
    is_nullable = "null" in described.get("type", ())
    kept = {"description": described["description"]} if "description" in described else {}
    return {"anyOf": [reference, {"type": "null"}], **kept} if is_nullable else {**reference, **kept}
