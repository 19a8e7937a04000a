"""The data stored about one user: export and erasure.

Sessions of other users contain the user's id in `ended_by`, if this user ended them as an admin. That column has no
index, so all sessions are read, in statements of bounded size, each in a transaction of its own.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from session_service.config import Settings
from session_service.database import import_queries, personal_data_queries, session_queries
from session_service.database.personal_data_queries import Row
from session_service.database.transaction import transaction
from session_service.services.session_view import shown_user_id

PAGE = 100
"""Sessions of one user that one transaction reads, with their tokens."""
STRIDE = 10_000
"""Size of the range of ids that one statement searches for a user's id, in columns without an index."""
KEPT_ENDS = timedelta(hours=1)
"""Ends recorded this long before an erasure stay, without the user: whoever remembers these sessions must read them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonalDataCount:
    """How much is stored about one user, or was erased."""

    sessions: int
    tokens: int
    mentions: int
    """Sessions of other users that this user ended."""
    events: int
    """Events of this user's sessions, and of sessions of others that this user ended."""


def export(user_id: str, settings: Settings, *, page: int = PAGE) -> Iterator[dict[str, object]]:
    """Yield all data stored about a user, for that person to read; yield nothing if none is stored.

    Each line has a `kind`: `owner` (at most one), `session` with every stored column, each followed by its `token`s and
    the rows that it was `imported_from`, then `ended_by_user` for sessions of other users, then `event`; each in the
    order of ids. Instants are datetimes.
    Different pages are read in different transactions, so changes that happen meanwhile may or may not be included.
    """
    with transaction():
        owners = personal_data_queries.list_owners(user_id)
    for owner in owners:
        yield {"kind": "owner", **owner, "user_id": shown_user_id(user_id, settings)}
    sessions, after = _page_of(user_id, 0, page), 0
    while sessions:
        for session, tokens, marks in sessions:
            yield {"kind": "session", **session, "user_id": shown_user_id(user_id, settings)}
            yield from ({"kind": "token", **token} for token in tokens)
            yield from ({"kind": "imported_from", **mark} for mark in marks)
            after = session["id"]
        sessions = _page_of(user_id, after, page)
    for mentions in _mentions(user_id):
        yield from ({"kind": "ended_by_user", **mention} for mention in mentions)
    for events in _events(user_id):
        yield from ({"kind": "event", **one} for one in events)


def count(user_id: str) -> PersonalDataCount:
    """Return what `erase` would erase, without changes."""
    with transaction(takes_long=True):
        sessions, tokens = personal_data_queries.count_held(user_id)
    mentions, events = (sum(map(len, found)) for found in (_mentions(user_id), _events(user_id)))
    return PersonalDataCount(sessions, tokens, mentions, events)


def erase(user_id: str, *, now: datetime) -> PersonalDataCount:
    """Erase all data stored about a user; return how much was erased. Repeat it after an interruption to finish it.

    The user's own rows are deleted in one transaction, under the user's lock. A sign-in that waits for the lock then
    finds a user without any session. Afterwards `ended_by` becomes null in the sessions of other users that this user
    ended: null is the only value that cannot be the id of a user. Last, events are deleted or lose the user's id.

    Raises:
        DatabaseUnavailable: earlier transactions stay committed.
    """
    with transaction(writes=True, takes_long=True):
        # Added if it is missing: otherwise the user could sign in between these statements.
        session_queries.lock_or_add_owner(user_id)
        personal_data_queries.add_last_ends(user_id, now)
        import_queries.delete_marks_of(user_id)
        sessions, tokens = personal_data_queries.delete_user(user_id)
    mentions = events = 0
    for found in _mentions(user_id):
        if found:
            with transaction(writes=True):
                mentions += personal_data_queries.erase_who_ended([one["session_id"] for one in found], user_id)
    for first, last in _strides(personal_data_queries.event_span):
        with transaction(writes=True):
            events += personal_data_queries.erase_events(user_id, first, last, now - KEPT_ENDS)
    words = "erased a user: %d sessions, %d tokens, the user's id in %d sessions of others, %d events"
    _log.info(words, sessions, tokens, mentions, events)
    return PersonalDataCount(sessions, tokens, mentions, events)


def _page_of(user_id: str, after: int, limit: int) -> list[tuple[Row, list[Row], list[Row]]]:
    """Return the user's next sessions after the id *after*, each with its tokens and the rows it was imported from."""
    with transaction():
        sessions = personal_data_queries.list_sessions_after(user_id, after, limit)
        ids = [one["id"] for one in sessions]
        tokens, marks = personal_data_queries.list_tokens(ids), import_queries.list_marks_of(ids)
    tokens_of, marks_of = _by_session(tokens), _by_session(marks)
    return [(one, tokens_of[one["id"]], marks_of[one["id"]]) for one in sessions]


def _by_session(rows: list[Row]) -> dict[int, list[Row]]:
    of_session: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        of_session[row["session_id"]].append(row)
    return of_session


def _mentions(user_id: str) -> Iterator[list[Row]]:
    """Read all sessions, range by range; yield those of other users that the user ended."""
    for first, last in _strides(personal_data_queries.session_span):
        with transaction():
            mentions = personal_data_queries.list_ended_by(user_id, first, last)
        yield mentions


def _events(user_id: str) -> Iterator[list[Row]]:
    """Read all events, range by range; yield those that name the user."""
    for first, last in _strides(personal_data_queries.event_span):
        with transaction():
            events = personal_data_queries.list_events(user_id, first, last)
        yield events


def _strides(span: Callable[[], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Read a range of ids, both ends inclusive; return it as ranges of `STRIDE` ids."""
    with transaction():
        first, last = span()
    return ((start, start + STRIDE - 1) for start in range(first, last + 1, STRIDE))
