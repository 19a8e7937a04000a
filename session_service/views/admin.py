"""What admins and services do with a user's sessions."""

from typing import Any

from session_service import errors
from session_service.components import components
from session_service.services.answers import SessionView
from session_service.views.guards import GUARDED, caller, require_admin_or_service
from session_service.views.parsing import StrictBlueprint, parse_owner, refuse_large_body
from session_service.views.problems import documented
from session_service.views.schemas import ClosedMany, EndCause, IncludeInactive, SessionResponse, closed_many

USER_ID = {"in": "path", "name": "user_id", "schema": {"$ref": "#/components/schemas/UserId"}}
SECURITY: list[dict[str, list[str]]] = [{"accessToken": []}, {"service": []}]
ADMIN_GUARDED = (*GUARDED, errors.AdminRequired, errors.ServiceRequired, errors.ValidationFailed)

bp = StrictBlueprint(
    "admin", __name__, url_prefix="/sessions", description="Any user's sessions, for admins and services."
)
bp.before_request(require_admin_or_service)
bp.before_request(refuse_large_body)


@bp.get("/user/<rest:user_id>", parameters=[USER_ID])
@bp.arguments(IncludeInactive(), location="query")
@bp.response(200, SessionResponse(many=True))
@bp.doc(operationId="listUserSessions", security=SECURITY, responses=documented(*ADMIN_GUARDED, errors.UserNotFound))
def list_user_sessions(query: dict[str, bool], user_id: str) -> list[SessionView]:
    """List a user's sessions, the last active first; a user without any has an empty list.

    With a user directory configured, a user whom neither this service nor the directory knows is 404.
    """
    return components().sessions.get_user_sessions(
        parse_owner(user_id), by=caller.principal, now=caller.now, current_id=caller.current_id, **query
    )


@bp.delete("/user/<rest:user_id>", parameters=[USER_ID])
@bp.arguments(EndCause(), location="query")
@bp.response(200, ClosedMany())
@bp.doc(operationId="endUserSessions", security=SECURITY, responses=documented(*ADMIN_GUARDED))
def end_user_sessions(query: dict[str, Any], user_id: str) -> dict[str, object]:
    """Close all of a user's sessions.

    `because` says why, for the person who reads it on a device that was signed out; without it that is "an
    administrator".
    """
    closed = components().sessions.delete_user_sessions(
        parse_owner(user_id),
        by=caller.principal,
        now=caller.now,
        current_id=caller.current_id,
        because=query.get("because"),
    )
    return closed_many(closed, components().everywhere.wait_if(query["everywhere"]))
