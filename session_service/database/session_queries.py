"""Queries on sessions, as functions that run within a `transaction`. None of them commits.

``get_*`` returns a row or None, ``list_*`` a list in a stated order, ``mark_*`` what it changed.
"""

from datetime import datetime, timedelta

from session_service.database import statements
from session_service.database.prepared import Prepared, Values
from session_service.database.publishing import publish_ended
from session_service.database.session_rows import (
    by_token,
    of_end,
    of_ended,
    of_moment,
    of_remembered,
    one,
    only_unended,
    sessions_of,
)
from session_service.database.transaction import (
    Later,
    commit_so_far,
    create_at_commit,
    run_all_prepared,
    run_at_commit,
    run_prepared,
)
from session_service.records import (
    CreationReason,
    End,
    EndReason,
    ObservedDevice,
    SignInState,
    StoredSession,
    Token,
    UnendedSession,
)


class EndedLater:
    """A session that ends with the commit of the transaction."""

    def __init__(self, ended: StoredSession, later: Later) -> None:
        self._ended, self._later = ended, later

    @property
    def session(self) -> StoredSession | None:
        """The session as it is then; None if this transaction did not end it. Only after the commit."""
        row = self._later.answer.fetchone()
        return self._ended._replace(last_activity=row[0], ended_at=row[1]) if row else None


def lock_or_add_owner(user_id: str) -> None:
    """Do what `lock_owner` does, and add the owner's row if it is missing; the lock is held afterwards.

    Nothing else may be written before. A row that is added is committed at once: to wait for another transaction that
    adds it would give this one its id before the lock, and events out of order. A concurrent erase may delete the row
    meanwhile, so it is tried again.
    """
    while not lock_owner(user_id):
        run_prepared(statements.ADD_OWNER, {"of_user": user_id})
        commit_so_far()


def lock_owner(user_id: str) -> bool:
    """Lock *user_id*'s sessions against other decisions until the end of the transaction; wait for the lock.

    On SQLite the writing transaction itself is the lock. Read the sessions only after this: a statement that locks and
    counts at once counts what was there before it had the lock.

    Returns whether there is a row to lock; without one there are no sessions.
    """
    # SQLAlchemy leaves FOR UPDATE out on SQLite, which does not have it.
    return run_prepared(statements.LOCK_OWNER, {"of_user": user_id}).fetchone() is not None


def get(session_id: int) -> StoredSession | None:
    """Return one session of any user."""
    return one(run_prepared(statements.GET, {"of_id": session_id}))


def list_active(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's active sessions, the last active first."""
    return _all(statements.LIST_ACTIVE, {"of_user": user_id, **of_moment(now, idle)})


def list_ended(user_id: str, now: datetime, idle: timedelta | None) -> list[StoredSession]:
    """Return the user's newest ended sessions, those past a time limit included, newest first."""
    return _all(statements.LIST_ENDED, {"of_user": user_id, **of_moment(now, idle)})


def list_recent(user_id: str, ended_after: datetime) -> list[StoredSession]:
    """Return the user's unended sessions, then those that ended after *ended_after*, each newest first."""
    return _all(statements.LIST_RECENT, {"of_user": user_id, "ended_after": ended_after})


def count_active(user_id: str, now: datetime, idle: timedelta | None) -> int:
    """Return the number of the user's active sessions."""
    return int(run_prepared(statements.COUNT_ACTIVE, {"of_user": user_id, **of_moment(now, idle)}).fetchone()[0])


def has_any(user_id: str) -> bool:
    """Return whether the user has any session, ended ones included."""
    return run_prepared(statements.ANY_OF_USER, {"of_user": user_id}).fetchone() is not None


def list_by_token(token: Token) -> list[StoredSession]:
    """Return the sessions that *token* stands for, newest first; mostly one.

    With a `sid`: the newest session with it. Otherwise: those that this token created, or if there are none, those that
    it was remembered for.
    """
    return _all(*by_token(token, statements.LIST_BY_TOKEN, statements.GET_BY_SID))


def get_only_unended(token: Token) -> UnendedSession | None:
    """Return the only session of *token* (with a `sid`: the newest) if its end is not recorded; otherwise None."""
    return only_unended(run_prepared(*by_token(token, statements.PEEK_BY_TOKEN, statements.PEEK_BY_SID)))


def get_only_unended_and_list(
    token: Token, now: datetime, idle: timedelta | None
) -> tuple[UnendedSession | None, list[StoredSession]]:
    """Return what `get_only_unended` returns, and what `list_active` returns for its user."""
    peek = by_token(token, statements.PEEK_BY_TOKEN, statements.PEEK_BY_SID)
    of_user = {"of_user": token.user_id, **of_moment(now, idle)}
    only, active = run_all_prepared(peek, (statements.LIST_ACTIVE, of_user))
    return only_unended(only), sessions_of(active.fetchall())


def lock_and_read_state(token: Token, device: ObservedDevice, recent: int) -> SignInState:
    """Do what `lock_or_add_owner` does, and return the state after that.

    Args:
        recent: how many `created_at` are wanted.
    """
    of_user = {"of_user": token.user_id}
    together: tuple[tuple[Prepared, Values], ...] = (
        (statements.LOCK_OWNER_AND_TAKE_ID, of_user),
        by_token(token, statements.LIST_BY_TOKEN, statements.GET_BY_SID),
        (statements.LIST_CREATED_AT, {**of_user, "most": recent}),
        (statements.LIST_UNENDED, of_user),
    )
    taken, *answers = run_all_prepared(*together)
    next_id = taken.fetchone()
    if next_id is None:
        lock_or_add_owner(token.user_id)
        taken, *answers = run_all_prepared(*together)
        next_id = taken.fetchone()
    token_sessions, created_at, unended = (answer.fetchall() for answer in answers)
    return SignInState(
        device, sessions_of(token_sessions), [at for (at,) in created_at], sessions_of(unended), next_id[0]
    )


def insert_session(session: StoredSession, token: Token, reason: CreationReason, by: str) -> None:
    """Add *session* and its event with the commit, and remember that *token* created it.

    Its id is one that `lock_and_read_state` gave.
    """
    columns = session._asdict()
    columns["session_id"] = columns.pop("id")
    opened_by = {"token_key": token.key, "until": token.expires_at}
    create_at_commit({**columns, **opened_by, "reason": reason, "initiated_by": by})


def remember_token(token: Token, session_id: int, *, now: datetime, idle: timedelta | None) -> None:
    """Remember that *token* belongs to this session, if it is active; may be repeated."""
    run_prepared(statements.REMEMBER_TOKEN, of_remembered(token, session_id, now, idle))


def mark_ended(session_id: int, end: End, idle: timedelta | None) -> bool:
    """End a session that is active at `end.at`; return whether this call ended it."""
    ended = one(run_prepared(statements.MARK_ENDED, of_ended(session_id, end, idle)))
    if ended:
        publish_ended(ended, end.at)
    return ended is not None


def mark_ended_at_commit(session: StoredSession, end: End, idle: timedelta | None) -> EndedLater:
    """Do what `mark_ended` does with the commit, for a session that was read under the user's lock.

    The result can then be read.
    """
    ended = session._replace(
        ended_at=max(session.last_activity, end.at),
        end_reason=end.reason,
        ended_by=end.by,
        successor_id=end.successor_id,
        because=end.because,
    )
    publish_ended(ended, end.at)
    return EndedLater(ended, run_at_commit(statements.MARK_READ_ENDED, of_ended(session.id, end, idle)))


def mark_timed_out(session: StoredSession, end: tuple[datetime, EndReason], now: datetime) -> None:
    """Record at *now* that a time limit ended *session*, unless it was used since it was read."""
    values = {"of_id": session.id, "seen": session.last_activity, "new_ended_at": end[0], "new_end_reason": end[1]}
    if run_prepared(statements.MARK_TIMED_OUT, values).rowcount:
        publish_ended(session._replace(ended_at=end[0], end_reason=end[1]), now)


def mark_all_ended(user_id: str, end: End, idle: timedelta | None, *, except_id: int | None = None) -> int:
    """End the user's sessions that are active at `end.at`, except *except_id*; return how many this call ended."""
    values = {"of_user": user_id, "except_id": except_id or 0, **of_end(end), **of_moment(end.at, idle)}
    ended = _all(statements.MARK_ALL_ENDED, values)
    for session in ended:
        publish_ended(session, end.at)
    return len(ended)


def mark_activity(session_id: int, *, now: datetime, idle: timedelta | None, interval: timedelta) -> bool:
    """Set `last_activity` to *now* if the session is active and *interval* has passed; return whether it was set.

    With an interval of zero it is always written, but never to an earlier time: clocks of two machines differ.
    """
    values = {"of_id": session_id, "due": now - interval, **of_moment(now, idle)}
    return bool(run_prepared(statements.TOUCH, values).rowcount)


def _all(statement: Prepared, values: Values) -> list[StoredSession]:
    return sessions_of(run_prepared(statement, values).fetchall())
