"""What a device limit would do to the sessions that are active now: all are read, page by page, and none changed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from session_service.config import Settings
from session_service.database import what_if_queries
from session_service.database.transaction import transaction
from session_service.database.what_if_queries import OpenSession
from session_service.records import LimitPolicy
from session_service.rules import policy

UNKNOWN_PLATFORM = "unknown"


@dataclass
class WhatIf:
    """What was counted so far."""

    users: int = 0
    """Users with an active session."""
    sessions: int = 0
    """Active sessions."""
    users_over: int = 0
    """Users with more active sessions than the limit."""
    would_end: int = 0
    """Sessions above the limit: these would have been ended, or under `reject` not created."""
    by_platform: Counter[str] = field(default_factory=Counter)
    """The same by the name of the operating system."""


def what_if(
    settings: Settings, *, limit: int, limit_policy: LimitPolicy, now: datetime, page: int = 10_000
) -> Iterator[WhatIf]:
    """Count what *limit* sessions for each user would mean; yield the totals so far after each page.

    `evict_oldest` and `reject` leave the sessions that were created last, and first; `evict_idle` those that were used
    last. Sessions change meanwhile, so the result is that of no single instant.

    Raises:
        DatabaseUnavailable: nothing more is known.
    """
    counted, carried, after = WhatIf(), list[OpenSession](), None
    while True:
        with transaction():
            found = what_if_queries.list_open_after(after, page)
        rows, carried = carried + found, []
        if len(found) == page:
            after = found[-1]
            # The last user's other sessions may be on the next page.
            complete = [row for row in rows if row.user_id != after.user_id]
            carried = rows[len(complete) :]
            rows = complete
        for _, of_user in groupby(rows, attrgetter("user_id")):
            _count(counted, [one for one in of_user if _is_active(one, now, settings)], limit, limit_policy)
        yield counted
        if len(found) < page:
            return


def _is_active(session: OpenSession, now: datetime, settings: Settings) -> bool:
    return policy.timed_out(session, now, settings.idle) is None


def _count(counted: WhatIf, active: list[OpenSession], limit: int, limit_policy: LimitPolicy) -> None:
    """Count one user's *active* sessions, which are in the order of their creation."""
    if not active:
        return
    counted.users += 1
    counted.sessions += len(active)
    surplus = len(active) - limit
    if surplus <= 0:
        return
    counted.users_over += 1
    counted.would_end += surplus
    match limit_policy:
        case "evict_oldest":
            gone = active[:surplus]
        case "evict_idle":
            gone = sorted(active, key=attrgetter("last_activity", "id"))[:surplus]
        case "reject":
            gone = active[limit:]
    counted.by_platform.update(one.os or UNKNOWN_PLATFORM for one in gone)
