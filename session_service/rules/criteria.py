"""Which sessions an admin or a service looks for: the criteria, which of them selects, and what they match.

`criteria_texts` reads them from texts. `database.search_queries` finds candidates by the criterion that selects;
`matches` decides about each of them.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from session_service.records import EndReason, StoredSession
from session_service.rules import policy
from session_service.rules.identifiers import MAX_ID

Selection = Literal["user_id", "network", "created_at", "ended_at"]
"""The column whose index leads to the candidates."""

CURSOR_PATTERN = r"^([0-9]{1,18})-([0-9]{1,19})$"

BEGINNING = datetime.min.replace(tzinfo=UTC)

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(CURSOR_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a session must have, all of it; None where anything will do."""

    user_id: str | None = None
    networks: frozenset[str] | None = None
    """Values of the column `network`, of which the session has one; an empty set matches nothing."""
    device_name: str | None = None
    device_type: str | None = None
    browser: str | None = None
    os: str | None = None
    reason: EndReason | None = None
    active: bool | None = None
    created_after: datetime | None = None
    """Inclusive, as `ended_after` is; both upper bounds are exclusive."""
    created_before: datetime | None = None
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    chosen: Selection | None = None
    """Which of `selections` selects, if not the first."""

    @property
    def selections(self) -> list[Selection]:
        """The criteria that an index serves."""
        has_created_range = self.created_after is not None or self.created_before is not None
        served: dict[Selection, bool] = {
            "user_id": self.user_id is not None,
            "network": self.networks is not None,
            "created_at": has_created_range,
            "ended_at": self.has_ended_range,
        }
        return [name for name, is_given in served.items() if is_given]

    @property
    def selection(self) -> Selection | None:
        """The criterion whose index leads to the candidates; None if no index serves any."""
        return self.chosen or next(iter(self.selections), None)

    @property
    def has_ended_range(self) -> bool:
        """Whether the instant of the end is bounded."""
        return self.ended_after is not None or self.ended_before is not None


class Question(NamedTuple):
    """What is searched for, and when: which sessions have timed out depends on that."""

    criteria: Criteria
    now: datetime
    idle: timedelta | None


class Cursor(NamedTuple):
    """The place of a session in the order of a search. A page begins after one."""

    at: datetime
    """Of the selecting column, if that is an instant; otherwise without meaning."""
    id: int


def matches(session: StoredSession, question: Question) -> bool:
    """Return whether *session* is what is searched for.

    A session past a time limit has ended, recorded or not.
    """
    criteria, now, idle = question
    end = policy.end_of(session, now, idle)
    ended_at, reason = end or (None, None)
    wanted = [
        (criteria.user_id, session.user_id),
        (criteria.reason, reason),
        (criteria.active, end is None),
        *(
            (getattr(criteria, name), getattr(session, name))
            for name in ("device_name", "device_type", "browser", "os")
        ),
    ]
    return (
        all(value is None or value == found for value, found in wanted)
        and (criteria.networks is None or session.network in criteria.networks)
        and _is_within(session.created_at, criteria.created_after, criteria.created_before)
        and (
            not criteria.has_ended_range
            or (ended_at is not None and _is_within(ended_at, criteria.ended_after, criteria.ended_before))
        )
    )


def first_cursor(criteria: Criteria) -> Cursor:
    """Return the cursor after which the first page begins."""
    before = {"created_at": criteria.created_before, "ended_at": criteria.ended_before}.get(criteria.selection or "")
    # Ids are positive, so this is before every session of that instant.
    return Cursor(_END_OF_TIME, MAX_ID) if before is None else Cursor(before, 0)


def cursor_of(session: StoredSession, selection: Selection) -> Cursor:
    """Return the place of *session* in the order of a search."""
    if selection == "created_at":
        return Cursor(session.created_at, session.id)
    if selection == "ended_at" and session.ended_at is not None:
        return Cursor(session.ended_at, session.id)
    return Cursor(BEGINNING, session.id)


def cursor_text(cursor: Cursor) -> str:
    """Return *cursor* for callers, who only repeat it."""
    return f"{(cursor.at - BEGINNING) // _MICROSECOND}-{cursor.id}"


def parse_cursor(text: str) -> Cursor | None:
    """Return the cursor that `cursor_text` made *text* of; None if it is not such a text."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        return None
    since = min(int(match[1]), (_END_OF_TIME - BEGINNING) // _MICROSECOND)
    return Cursor(BEGINNING + since * _MICROSECOND, min(int(match[2]), MAX_ID))


def _is_within(at: datetime, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or after <= at) and (before is None or at < before)
