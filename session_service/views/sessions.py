"""What users do with their own sessions."""

from flask import url_for

from session_service import errors
from session_service.auth import require_user, user
from session_service.clock import utcnow
from session_service.identifiers import MAX_ID
from session_service.records import CreatedSession, SessionView
from session_service.session_schema import (
    Closed,
    ClosedMany,
    DeviceCount,
    ExcludeCurrent,
    IncludeInactive,
    SessionCreate,
    SessionCreated,
    SessionResponse,
    closed,
    closed_many,
)
from session_service.views.parsing import StrictBlueprint, parse_session_id, refuse_large_body
from session_service.views.problems import documented
from session_service.views.shared import ADOPTING, GUARDED, service

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
    responses=documented(
        *GUARDED,
        errors.InvalidJson,
        errors.ValidationFailed,
        errors.UnsupportedMediaType,
        errors.SessionLimitReached,
        errors.SignInRateExceeded,
    )
)
def create_session(claimed: dict[str, str | None]) -> tuple[CreatedSession, dict[str, str]]:
    """Open a session for a token that was just issued.

    Call it right after a sign-in, with the new access token. The body may be left out altogether.
    Where the device limit is reached, the sessions that had to give way are listed in `evicted`.
    """
    created = service.create_session(claimed, by=user.principal, token=user.token, client=user.client, now=utcnow())
    return created, {"Location": url_for("sessions.get_session", session_id=created["id"])}


@bp.get("/my-sessions")
@bp.arguments(IncludeInactive(), location="query")
@bp.response(200, SessionResponse(many=True))
@bp.doc(responses=documented(*GUARDED, *ADOPTING, errors.ValidationFailed))
def list_my_sessions(query: dict[str, bool]) -> list[SessionView]:
    """List the caller's sessions, the last active first."""
    return service.get_user_sessions(
        user.token.user_id, by=user.principal, now=utcnow(), current_id=user.current_id, **query
    )


@bp.get("/session/<session_id>", parameters=[SESSION_ID])
@bp.response(200, SessionResponse())
@bp.doc(responses=documented(*GUARDED, *ADOPTING, errors.SessionNotFound))
def get_session(session_id: str) -> SessionView:
    """Show one session of the caller's own, or anybody's to an admin.

    Somebody else's session and an unknown id get the same answer.
    """
    return service.get_session(
        parse_session_id(session_id), by=user.principal, now=utcnow(), current_id=user.current_id
    )


@bp.delete("/session/<session_id>", parameters=[SESSION_ID])
@bp.response(200, Closed())
@bp.doc(responses=documented(*GUARDED, *ADOPTING, errors.SessionNotFound))
def end_session(session_id: str) -> dict[str, object]:
    """Close one session of the caller's own, or anybody's as an admin; repeating it gives the same answer."""
    service.delete_session(parse_session_id(session_id), by=user.principal, now=utcnow(), current_id=user.current_id)
    return closed("Session closed successfully")


@bp.delete("/logout")
@bp.response(200, Closed(), example=closed("Current session closed successfully"))
@bp.doc(responses=documented(*GUARDED, errors.NoCurrentSession))
def logout() -> dict[str, object]:
    """Close the session that this call comes from; repeating it gives the same answer."""
    service.logout(user.current, by=user.principal, now=utcnow())
    return closed("Current session closed successfully")


@bp.delete("/logout-all")
@bp.arguments(ExcludeCurrent(), location="query")
@bp.response(200, ClosedMany())
@bp.doc(responses=documented(*GUARDED, *ADOPTING, errors.ValidationFailed, errors.CurrentSessionUnknown))
def logout_all(query: dict[str, bool]) -> dict[str, object]:
    """Close all of the caller's sessions, the current one included unless it is excluded."""
    return closed_many(
        service.delete_user_sessions(
            user.token.user_id, by=user.principal, now=utcnow(), current_id=user.current_id, **query
        )
    )


@bp.get("/active-devices-count")
@bp.response(200, DeviceCount())
@bp.doc(responses=documented(*GUARDED, *ADOPTING))
def count_devices() -> dict[str, int]:
    """Count the devices that the caller is signed in on, and say how many are allowed."""
    return {
        "active_devices": service.get_session_count(user.token.user_id, now=utcnow()),
        "max_devices": service.settings.MAX_SESSIONS_PER_USER,
    }


@bp.post("/update-activity")
@bp.response(200, SessionResponse())
@bp.doc(responses=documented(*GUARDED, *ADOPTING, errors.NoCurrentSession))
def update_activity() -> SessionView:
    """Note that the current session is in use, at once: any other call does so by itself, once in a while."""
    return service.update_session_activity(user.current, by=user.principal, now=utcnow())
