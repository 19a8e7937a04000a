"""The SQL of `what-if`, as functions to be called within a `transaction`. It locks and changes nothing."""

from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Table, select, tuple_

from session_service.database.models import UserSession
from session_service.database.transaction import execute

_sessions = cast(Table, UserSession.__table__)


class OpenSession(NamedTuple):
    """The columns of a session without a recorded end that a limit looks at."""

    user_id: str
    id: int
    last_activity: datetime
    expires_at: datetime
    os: str | None


def list_open_after(after: OpenSession | None, limit: int) -> list[OpenSession]:
    """Return the next sessions without a recorded end, by user, each user's oldest first."""
    key = tuple_(_sessions.c.user_id, _sessions.c.id)
    columns = [_sessions.c[name] for name in OpenSession._fields]
    page = select(*columns).where(_sessions.c.ended_at.is_(None)).order_by(*key.clauses).limit(limit)
    if after is not None:
        page = page.where(key > tuple_(after.user_id, after.id))
    return [OpenSession._make(row) for row in execute(page)]
