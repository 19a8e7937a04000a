"""How admins and services find sessions of all users by criteria, and end them."""

from typing import Any

from session_service import errors
from session_service.components import components
from session_service.services.answers import SearchAnswer
from session_service.services.end_by_criteria import Ending, count, end_some, refuse_more
from session_service.services.search import Part, Viewer, search
from session_service.views.admin import ADMIN_GUARDED, SECURITY
from session_service.views.guards import caller, require_admin_or_service
from session_service.views.parsing import StrictBlueprint, refuse_large_body
from session_service.views.problems import documented
from session_service.views.schemas import EndEverywhere, if_asked
from session_service.views.search_schemas import EndCriteria, EndedByCriteria, SearchPage, SearchQuery

bp = StrictBlueprint(
    "search", __name__, url_prefix="/sessions", description="All sessions by criteria, for admins and services."
)
bp.before_request(require_admin_or_service)
bp.before_request(refuse_large_body)


@bp.get("/search")
@bp.arguments(SearchQuery(), location="query")
@bp.response(200, SearchPage())
@bp.doc(operationId="searchSessions", security=SECURITY, responses=documented(*ADMIN_GUARDED))
def search_sessions(query: dict[str, Any]) -> SearchAnswer:
    """Find sessions of all users, a page at a time, the newest first.

    At least one of `user_id`, `address`, `network` and the instants is needed; the other criteria refine. A session
    that matches all along is on exactly one page, whatever changes meanwhile.
    """
    viewer = Viewer(by=caller.principal, now=caller.now, current_id=caller.current_id)
    part = Part(after=query["after"], limit=query["limit"])
    return search(query["criteria"], components().settings, viewer, part)


@bp.post("/end")
@bp.arguments(EndEverywhere(), location="query")
@bp.arguments(EndCriteria())
@bp.response(200, EndedByCriteria())
@bp.doc(
    operationId="endSessionsByCriteria",
    security=SECURITY,
    responses=documented(*ADMIN_GUARDED, errors.InvalidJson, errors.UnsupportedMediaType, errors.CountChanged),
)
def end_sessions_by_criteria(query: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """End active sessions of all users by the criteria of a search.

    First ask with `dry_run`; then repeat the call with `expected`, the count, and then with each `remaining`, until
    that is 0. If more sessions match than were expected, none ends: 409 `count_changed`. One call ends at most 1,000.
    """
    settings = components().settings
    criteria, counted = count(body["criteria"], settings, now=caller.now)
    if "expected" not in body:
        return {"count": counted.sessions}
    refuse_more(counted, body["expected"])
    ending = Ending(by=caller.principal, now=caller.now, current_id=caller.current_id, because=body.get("because"))
    ended, remaining = end_some(criteria, settings, counted, ending)
    everywhere = components().everywhere.wait_if(query["everywhere"])
    return {"ended": ended, "remaining": remaining, **if_asked(everywhere)}
