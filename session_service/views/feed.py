"""What services ask to learn of sessions that were created or have ended."""

from session_service import errors
from session_service.components import components
from session_service.services.answers import FeedPage
from session_service.views.event_schemas import FeedAnswer, FeedQuestion
from session_service.views.guards import require_service
from session_service.views.parsing import StrictBlueprint
from session_service.views.problems import documented
from session_service.views.request_hooks import logs_failures_only

bp = StrictBlueprint("feed", __name__, url_prefix="/sessions", description="Events, for services.")
bp.before_request(require_service)


@bp.get("/feed")
@bp.arguments(FeedQuestion(), location="query")
@bp.response(200, FeedAnswer())
@bp.doc(
    operationId="readFeed",
    security=[{"service": []}],
    responses=documented(
        errors.ServiceRequired,
        errors.ValidationFailed,
        errors.FeedPositionGone,
        errors.InternalError,
        errors.DatabaseUnavailable,
    ),
)
@logs_failures_only
def read_feed(query: dict[str, tuple[int, int] | None]) -> FeedPage:
    """Return what was created and ended after a position, oldest first, at most 500 events.

    Begin without `after`, which returns the present position and no events; then ask again with each new `position`.
    An answer that is not `complete` may lack events that were committed before the question. After a 410, forget what
    was remembered and begin anew.
    """
    return components().feed.read(query["after"])
