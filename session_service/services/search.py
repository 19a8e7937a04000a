"""Search of all users' sessions by criteria, a page at a time. It changes nothing."""

from dataclasses import dataclass
from datetime import datetime

from session_service.config import Settings
from session_service.database import search_queries
from session_service.database.transaction import transaction
from session_service.limits import SEARCH_EXAMINED
from session_service.records import Principal
from session_service.rules.criteria import Criteria, Cursor, Question, cursor_text
from session_service.services.answers import SearchAnswer
from session_service.services.session_view import present

MAX_PAGE = 100
"""Most sessions of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who searches, and when; `current_id` is the caller's own session."""

    by: Principal
    now: datetime
    current_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of the result that makes a page."""

    after: Cursor | None = None
    limit: int = MAX_PAGE
    examined: int = SEARCH_EXAMINED
    """Most index entries to read."""


def search(criteria: Criteria, settings: Settings, viewer: Viewer, part: Part) -> SearchAnswer:
    """Return the next sessions that match, the newest first: by the instant that selects, otherwise by id.

    A page may have fewer sessions than its limit, even none, and still a `next`: it examines so many index entries.
    `next` of None is the end. A session that matches all along is on exactly one page, whatever changes meanwhile.

    Sessions that timed out are found as ended, recorded or not, with one exception: if the instant of the end selects,
    only recorded ends are found.
    """
    question = Question(criteria, viewer.now, settings.idle)
    with transaction():
        page = search_queries.list_page(question, part.after, limit=part.limit, examined=part.examined)
    return SearchAnswer(
        sessions=[
            present(one, settings, by=viewer.by, now=viewer.now, current_id=viewer.current_id) for one in page.sessions
        ],
        next=None if page.next is None else cursor_text(page.next),
    )
