"""What users do with their own sessions."""

from typing import Any

from flask import url_for

from session_service import errors
from session_service.components import components
from session_service.rules.identifiers import MAX_ID
from session_service.services.answers import CreatedSession, SessionView
from session_service.views.guards import (
    ADOPTING,
    GUARDED,
    allows_ended_session,
    require_user,
    skips_current_session,
    user,
)
from session_service.views.parsing import StrictBlueprint, parse_session_id, refuse_large_body
from session_service.views.problems import documented
from session_service.views.schemas import (
    Closed,
    ClosedMany,
    DeviceCount,
    EndEverywhere,
    ExcludeCurrent,
    IncludeInactive,
    SessionCreate,
    SessionCreated,
    SessionResponse,
    closed,
    closed_many,
)

CREATE_PATH, LIST_PATH, SESSION_PATH = "/sessions/create", "/sessions/my-sessions", "/sessions/session"
"""Paths that the fast path needs."""

CREATED_HEADERS = {"Location": {"description": "Where the new session is.", "schema": {"type": "string"}}}
SESSION_ID = {
    "in": "path",
    "name": "session_id",
    "schema": {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID},
    "example": 1,
}

bp = StrictBlueprint("sessions", __name__, url_prefix="/sessions", description="A user's own sessions.")
bp.before_request(require_user)
bp.before_request(refuse_large_body)


@bp.post("/create")
@bp.arguments(SessionCreate(), required=False)
@bp.response(201, SessionCreated(), headers=CREATED_HEADERS)
@bp.doc(
    operationId="createSession",
    responses=documented(
        *GUARDED,
        errors.InvalidJson,
        errors.ValidationFailed,
        errors.UnsupportedMediaType,
        errors.SessionNotFound,
        errors.SessionLimitReached,
        errors.SignInRateExceeded,
    ),
)
@skips_current_session
def create_session(claimed: dict[str, Any]) -> tuple[CreatedSession, dict[str, str]]:
    """Create a session for a token that was just issued.

    Call it right after a sign-in, with the new access token. The body may be left out.
    Where the device limit is exceeded, `evicted` lists the sessions that ended for this one. With
    `SESSION_LIMIT_POLICY=reject` it is refused instead (409), and `sessions` lists those that the user may choose from:
    repeat the call with their ids in `end`.
    """
    created = components().sign_in.create_session(
        claimed, by=user.principal, token=user.token, client=user.client, now=user.now
    )
    return created, {"Location": url_for("sessions.get_session", session_id=created["id"])}


@bp.get("/my-sessions")
@bp.arguments(IncludeInactive(), location="query")
@bp.response(200, SessionResponse(many=True))
@bp.doc(operationId="listMySessions", responses=documented(*GUARDED, *ADOPTING, errors.ValidationFailed))
def list_my_sessions(query: dict[str, bool]) -> list[SessionView]:
    """List the caller's sessions, the last active first."""
    return components().sessions.get_user_sessions(
        user.token.user_id, by=user.principal, now=user.now, current_id=user.current_id, **query
    )


@bp.get("/session/<session_id>", parameters=[SESSION_ID])
@bp.response(200, SessionResponse())
@bp.doc(operationId="getSession", responses=documented(*GUARDED, *ADOPTING, errors.SessionNotFound))
def get_session(session_id: str) -> SessionView:
    """Show one session of the caller's own, or of any user to an admin.

    Somebody else's session and an unknown id get the same answer.
    """
    return components().sessions.get_session(
        parse_session_id(session_id), by=user.principal, now=user.now, current_id=user.current_id
    )


@bp.delete("/session/<session_id>", parameters=[SESSION_ID])
@bp.arguments(EndEverywhere(), location="query")
@bp.response(200, Closed())
@bp.doc(
    operationId="endSession",
    responses=documented(*GUARDED, *ADOPTING, errors.ValidationFailed, errors.SessionNotFound),
)
def end_session(query: dict[str, bool], session_id: str) -> dict[str, object]:
    """Close one session of the caller's own, or of any user as an admin; repeating it gives the same answer."""
    components().sessions.delete_session(
        parse_session_id(session_id), by=user.principal, now=user.now, current_id=user.current_id
    )
    return closed("Session closed successfully", components().everywhere.wait_if(query["everywhere"]))


@bp.delete("/logout")
@bp.arguments(EndEverywhere(), location="query")
@bp.response(200, Closed(), example=closed("Current session closed successfully"))
@bp.doc(operationId="logout", responses=documented(*GUARDED, errors.ValidationFailed, errors.NoCurrentSession))
@allows_ended_session
def logout(query: dict[str, bool]) -> dict[str, object]:
    """Close the session that this call comes from; repeating it gives the same answer."""
    components().sessions.logout(user.current, by=user.principal, now=user.now)
    return closed("Current session closed successfully", components().everywhere.wait_if(query["everywhere"]))


@bp.delete("/logout-all")
@bp.arguments(ExcludeCurrent(), location="query")
@bp.response(200, ClosedMany())
@bp.doc(
    operationId="logoutAll",
    responses=documented(*GUARDED, *ADOPTING, errors.ValidationFailed, errors.CurrentSessionUnknown),
)
def logout_all(query: dict[str, bool]) -> dict[str, object]:
    """Close all of the caller's sessions, the current one included unless it is excluded."""
    ends = components().sessions
    end = ends.delete_other_sessions if query["exclude_current"] else ends.delete_user_sessions
    number = end(user.token.user_id, by=user.principal, now=user.now, current_id=user.current_id)
    return closed_many(number, components().everywhere.wait_if(query["everywhere"]))


@bp.get("/active-devices-count")
@bp.response(200, DeviceCount())
@bp.doc(operationId="countDevices", responses=documented(*GUARDED, *ADOPTING))
def count_devices() -> dict[str, int]:
    """Count the devices that the caller is signed in on, and say how many are allowed."""
    return {
        "active_devices": components().sessions.get_session_count(user.token.user_id, now=user.now),
        "max_devices": components().settings.max_sessions(user.token),
    }


@bp.post("/update-activity")
@bp.response(200, SessionResponse())
@bp.doc(operationId="updateActivity", responses=documented(*GUARDED, *ADOPTING, errors.NoCurrentSession))
def update_activity() -> SessionView:
    """Record at once that the current session is in use; any other call records it too, but not each time."""
    return components().sessions.update_session_activity(
        user.current, by=user.principal, token=user.token, now=user.now
    )
