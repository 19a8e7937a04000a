"""USE CASE: all that is held of one user, handed out or erased.

Sessions of others hold the user's id too, where this user ended them as an admin. No index leads there, so all sessions
are walked over, in statements of bounded size, each in a transaction of its own.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from session_service.config import Settings
from session_service.database import personal_data_queries, session_queries
from session_service.database.transaction import transaction
from session_service.services.session_view import shown_user_id

PAGE = 100
"""Sessions of one user that are read at once, with their tokens."""
STRIDE = 10_000
"""Ids that one statement of the walk over all sessions looks at."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonalDataCount:
    """How much is held of one user, or was until it was erased."""

    sessions: int
    tokens: int
    mentions: int
    """Sessions of others that this user ended."""


def export(user_id: str, settings: Settings, *, page: int = PAGE) -> Iterator[dict[str, object]]:
    """Yield all that is held of a user, for that person to read: nothing at all where nothing is.

    Each line has a `kind`: `owner` (at most one), `session` with every column that is kept, each followed by its
    `token`s, then `ended_by_user` for sessions of others; each in the order of ids. Instants are datetimes. No
    transaction is open between two lines, so what happens meanwhile may or may not be in.
    """
    with transaction():
        owners = personal_data_queries.list_owners(user_id)
    for owner in owners:
        yield {"kind": "owner", **owner, "user_id": shown_user_id(user_id, settings)}
    sessions, after = _page_of(user_id, 0, page), 0
    while sessions:
        for session, tokens in sessions:
            yield {"kind": "session", **session, "user_id": shown_user_id(user_id, settings)}
            yield from ({"kind": "token", **token} for token in tokens)
            after = session["id"]
        sessions = _page_of(user_id, after, page)
    for mentions in _mentions(user_id):
        yield from ({"kind": "ended_by_user", **mention} for mention in mentions)


def count(user_id: str) -> PersonalDataCount:
    """Return what `erase` would erase, and change nothing."""
    with transaction(takes_long=True):
        sessions, tokens = personal_data_queries.count_held(user_id)
    return PersonalDataCount(sessions, tokens, sum(len(mentions) for mentions in _mentions(user_id)))


def erase(user_id: str) -> PersonalDataCount:
    """Erase all that is held of a user, and return how much that was; a repeat finds what was left by an interruption.

    The user's own rows go in one transaction, under the user's lock. Whoever waits for it meanwhile, to sign in,
    finds a user without any session. Then `ended_by` becomes null in what this user ended of others: the only value
    that is nobody's id, whatever ids look like.

    Raises:
        DatabaseUnavailable: what was done before stays done.
    """
    with transaction(writes=True, takes_long=True):
        # Added where it is missing: or somebody could sign in between the statements here.
        session_queries.lock_or_add_owner(user_id)
        sessions, tokens = personal_data_queries.delete_user(user_id)
    mentions = 0
    for found in _mentions(user_id):
        if found:
            with transaction(writes=True):
                mentions += personal_data_queries.erase_who_ended([one["session_id"] for one in found], user_id)
    _log.info("erased a user: %d sessions, %d tokens, %d mentions", sessions, tokens, mentions)
    return PersonalDataCount(sessions, tokens, mentions)


def _page_of(
    user_id: str, after: int, limit: int
) -> list[tuple[personal_data_queries.Row, list[personal_data_queries.Row]]]:
    """Return the user's next sessions, each with its tokens."""
    with transaction():
        sessions = personal_data_queries.list_sessions_after(user_id, after, limit)
        tokens = personal_data_queries.list_tokens([one["id"] for one in sessions])
    of_session: dict[int, list[personal_data_queries.Row]] = {one["id"]: [] for one in sessions}
    for token in tokens:
        of_session[token["session_id"]].append(token)
    return [(one, of_session[one["id"]]) for one in sessions]


def _mentions(user_id: str) -> Iterator[list[personal_data_queries.Row]]:
    """Walk over all sessions; yield those of others that the user ended."""
    with transaction():
        first, last = personal_data_queries.id_span()
    for start in range(first, last + 1, STRIDE):
        with transaction():
            mentions = personal_data_queries.list_ended_by(user_id, start, start + STRIDE - 1)
        yield mentions
