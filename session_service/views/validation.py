"""Questions about a token: of a gateway or backend that was called with it, or of a service that received it."""

from string import ascii_letters, digits, punctuation
from urllib.parse import quote

from flask import request

from session_service import errors
from session_service.components import components
from session_service.services.answers import Introspection, Liveness
from session_service.views.guards import ADOPTING, GUARDED, caller, find_token, require_service, require_user, user
from session_service.views.parsing import StrictBlueprint, refuse_large_body
from session_service.views.problems import documented
from session_service.views.schemas import IntrospectionAnswer, IntrospectionRequest, Validation

SENT_ON = ("User-Agent", "X-Forwarded-For")
"""The caller's headers that must be sent on: a refreshed token is recognised by its device."""

PRINTABLE = (ascii_letters + digits + punctuation).replace("%", "")
VALIDATED_HEADERS = {
    "X-Session-Id": {"description": "The session's id; absent without one.", "schema": {"type": "string"}},
    "X-User-Id": {
        "description": "The user's id, percent-encoded where need be.",
        "schema": {"type": "string"},
    },
}

PATH = "/sessions/validate"

validation = StrictBlueprint("validation", __name__, url_prefix="/sessions", description="For gateways and backends.")
validation.before_request(require_user)
validation.before_request(refuse_large_body)

introspection = StrictBlueprint("introspection", __name__, url_prefix="/sessions", description="For services.")
introspection.before_request(require_service)


@validation.get("/validate")
@validation.response(200, Validation(), headers=VALIDATED_HEADERS)
@validation.doc(operationId="validate", responses=documented(*GUARDED, *ADOPTING, errors.SessionUnknown))
def validate() -> tuple[Liveness, dict[str, str]]:
    """Say whether the session of the caller's token is active; it counts as activity.

    Send on the caller's `Authorization`, `User-Agent` and `X-Forwarded-For`. Every 401 names its code in
    `X-Session-Code` too, for gateways that drop bodies. The answer must not be cached.
    """
    alive = components().sessions.validate(
        user.current, token=user.token, lacking=[name for name in SENT_ON if name not in request.headers]
    )
    return alive, identity_headers(alive["session_id"], user.token.user_id)


def identity_headers(session_id: int | None, user_id: str) -> dict[str, str]:
    """Return `VALIDATED_HEADERS`, for gateways."""
    of_session = {} if session_id is None else {"X-Session-Id": str(session_id)}
    is_plain = user_id.isascii() and user_id.isalnum()  # which `quote` takes long to find out
    return {**of_session, "X-User-Id": user_id if is_plain else quote(user_id, safe=PRINTABLE)}


@introspection.post("/introspect")
@introspection.arguments(IntrospectionRequest(), location="form")
@introspection.response(200, IntrospectionAnswer(), example={"active": False})
@introspection.doc(
    operationId="introspect",
    security=[{"service": []}],
    responses=documented(
        errors.ServiceRequired,
        errors.BodyTooLarge,
        errors.ValidationFailed,
        errors.UnsupportedMediaType,
        errors.InternalError,
        errors.DatabaseUnavailable,
        errors.AuthServerUnavailable,
    ),
)
def introspect(form: dict[str, str]) -> Introspection:
    """Say whether a token may be used (RFC 7662): it is valid, and its session is active.

    For a service that received the token without the caller's request; it does not count as activity.
    """
    return components().sessions.introspect(find_token(form["token"], caller.now), now=caller.now)
