"""Ends sessions of many users by criteria: counted first, then in batches, each one transaction."""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic, sleep
from typing import NamedTuple

from session_service import deadline
from session_service.config import Settings
from session_service.database import search_queries, session_queries
from session_service.database.search_queries import Counted, Place
from session_service.database.transaction import transaction
from session_service.errors import CountChanged, ValidationFailed
from session_service.limits import COUNT_EXAMINED, END_BATCH, END_SECONDS, END_SESSIONS
from session_service.records import Because, End, Principal, StoredSession
from session_service.rules import policy
from session_service.rules.criteria import Criteria, Question

EXAMINED = 10_000
"""Index entries that one statement reads to count sessions or to find those to end."""

PAUSE_SECONDS = 0.02
"""Between two batches. SQLite has one writer at a time, and a waiting one polls: without a pause it might never get
its turn. Whoever was locked by another transaction is free by then, most likely."""

SPARE_SECONDS = 0.5
"""Before the deadline of a request: its last batch must not be cut off."""

TOO_MANY = (
    f"These select more than {COUNT_EXAMINED:,} sessions, ended ones included. "
    "Narrow them with created_after and created_before, and end one range after the other."
)


class Ended(NamedTuple):
    """How many sessions a call ended, and how many it left."""

    ended: int
    remaining: int
    """The caller repeats the call until there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Who ends sessions, when and why: the same for all sessions of a call."""

    by: Principal
    now: datetime
    current_id: int | None = None
    """The caller's own session. It ends last, because the caller needs it for the next call."""
    because: Because | None = None
    """The cause; left out for the caller's own sessions."""


def count(
    criteria: Criteria, settings: Settings, *, now: datetime, is_bounded: bool = True
) -> tuple[Criteria, Counted]:
    """Return how many active sessions match, and the criteria with that one chosen to select that made it possible.

    Args:
        is_bounded: False reads all candidates, however long that takes: for a command.

    Raises:
        ValidationFailed: there are too many to count them within a request.
    """
    if criteria.active is False:
        return criteria, Counted(0, 0, 0)
    for selection in criteria.selections:
        chosen = replace(criteria, chosen=selection)
        counted = _count(Question(chosen, now, settings.idle), COUNT_EXAMINED if is_bounded else None)
        if not is_bounded or counted.examined <= COUNT_EXAMINED:
            return chosen, counted
    raise ValidationFailed(errors={"criteria": [TOO_MANY]})


def _count(question: Question, most: int | None) -> Counted:
    """Count until the end, or until more than *most* index entries were read."""
    total, place = Counted(), Place()
    while True:
        with transaction():
            counted = search_queries.count_active(question, place, EXAMINED)
        total = Counted(
            total.sessions + counted.sessions,
            max(total.highest_id, counted.highest_id),
            total.examined + counted.examined,
            counted.next,
        )
        if counted.next is None or (most is not None and total.examined > most):
            return total
        place = counted.next


def refuse_more(counted: Counted, expected: int) -> None:
    """Do nothing unless more sessions would end than were *expected*.

    Raises:
        CountChanged: they would; its `count` says how many.
    """
    if counted.sessions > expected:
        words = f"{counted.sessions} sessions would end now, more than the {expected} that were expected"
        raise CountChanged(f"{words}; none was ended.", count=counted.sessions)


def end_some(criteria: Criteria, settings: Settings, counted: Counted, ending: Ending) -> Ended:
    """End *counted* sessions, the newest first: at most `END_SESSIONS`, and no further batch after `END_SECONDS`.

    Sessions that were created since the count stay. Sessions of users whom another transaction has locked are tried
    again, and remain if that takes too long.

    Raises:
        DatabaseUnavailable: earlier batches stay committed.
    """
    left = deadline.seconds_left()
    until = monotonic() + (END_SECONDS if left is None else min(END_SECONDS, left - SPARE_SECONDS))
    chosen, is_all = _choose(criteria, settings, counted, ending.now)
    own = [one for one in chosen if one.id == ending.current_id]
    waiting = deque(sorted((one for one in chosen if one not in own), key=lambda one: (one.user_id, one.id)))
    ended = 0
    while waiting:
        batch = [waiting.popleft() for _ in range(min(END_BATCH, len(waiting)))]
        number, held = _end_batch(batch, settings, ending)
        ended += number
        waiting.extend(held)
        if monotonic() >= until:
            break
        if waiting:
            sleep(PAUSE_SECONDS)
    remaining = [*waiting, *own]
    if is_all and not waiting and own:
        number, remaining = _end_batch(own, settings, ending)
        ended += number
    return Ended(ended, len(remaining) if is_all else max(counted.sessions - ended, 0))


def _choose(
    criteria: Criteria, settings: Settings, counted: Counted, now: datetime
) -> tuple[list[StoredSession], bool]:
    """Return sessions to end, and whether these are all."""
    active = Question(replace(criteria, active=True), now, settings.idle)
    most = min(END_SESSIONS, counted.sessions)
    chosen: list[StoredSession] = []
    after = None
    while len(chosen) < most:
        with transaction():
            page = search_queries.list_page(active, after, limit=most - len(chosen), examined=EXAMINED)
        chosen += [one for one in page.sessions if one.id <= counted.highest_id]
        after = page.next
        if after is None:
            return chosen, True
    return chosen, len(chosen) >= counted.sessions


def _end_batch(sessions: list[StoredSession], settings: Settings, ending: Ending) -> tuple[int, list[StoredSession]]:
    """End those sessions whose users no other transaction has locked; return how many, and the others.

    They were read before this transaction began, so it is later in the order of events than what created them.
    """
    ended = 0
    with transaction(writes=True):
        locked = search_queries.lock_owners({one.user_id for one in sessions})
        for one in sessions:
            if one.user_id not in locked:
                ended += session_queries.mark_ended(one.id, _end_of(one, ending), settings.idle)
    return ended, [one for one in sessions if one.user_id in locked]


def _end_of(session: StoredSession, ending: Ending) -> End:
    reason = policy.reason_of(ending.by, session.user_id, is_current=session.id == ending.current_id)
    return End(reason, ending.by.name, ending.now, because=ending.because if reason == "admin" else None)
