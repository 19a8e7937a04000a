"""What is searched for on the seeded rows: one question for each way through an index, and the worst of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg

from session_service.clock import as_text
from session_service.rules.criteria import BEGINNING, Cursor, cursor_text

POPULAR = "10.255.255.255"
"""The address of one in 60 sessions. Any other one has 52."""

RARE = "10.0.0.7"

NETWORK = f"""
    CASE WHEN id % 60 = 0 THEN '{POPULAR}/32' ELSE host(inet '10.0.0.0' + (id % 95000)) || '/32' END
"""
"""The network of the session `id`, as SQL."""


@dataclass(frozen=True)
class Question:
    """A page of a search."""

    label: str
    query: str


def questions(url: str) -> Iterator[Question]:
    """Yield the questions, given the rows in the database at *url*."""
    with psycopg.connect(url) as connection:
        created = _one(connection, "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY created_at) FROM sessions")
        ended = _one(connection, "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ended_at) FROM sessions")
        middle = _one(connection, "SELECT max(id) / 2 FROM sessions")
        last = _one(connection, "SELECT max(id) FROM sessions")
    deep_id, deep_created = Cursor(BEGINNING, middle), Cursor(created, middle)
    yield _question("user_id", user_id=last % 1_000 + 1)
    yield _question("address of 52 sessions", address=RARE)
    yield _question("address of 83,000 sessions", address=POPULAR)
    yield _question("the same, after 41,000", address=POPULAR, after=cursor_text(deep_id))
    yield _question("the same, active ones", address=POPULAR, active="true")
    yield _question("the same, a name that nothing has: 5,000 examined", address=POPULAR, device_name="nobody's")
    yield _question("created_after, 5,000,000 sessions", created_after="2000-01-01T00:00:00Z")
    yield _question("the same, after 2,500,000", created_after="2000-01-01T00:00:00Z", after=cursor_text(deep_created))
    yield _question(
        "the same, a name that nothing has: 5,000 examined",
        created_after="2000-01-01T00:00:00Z",
        after=cursor_text(deep_created),
        device_name="nobody's",
    )
    yield _question("created_before the middle, still active", created_before=as_text(created), active="true")
    yield _question("ended_after, 3,500,000 sessions", ended_after="2000-01-01T00:00:00Z")
    yield _question(
        "the same, after 1,750,000",
        ended_after="2000-01-01T00:00:00Z",
        after=cursor_text(Cursor(ended, last)),
    )
    yield _question(
        "the same, a reason that nothing has: 5,000 examined",
        ended_after="2000-01-01T00:00:00Z",
        after=cursor_text(Cursor(ended, last)),
        reason="revoked",
    )


def _question(label: str, **query: object) -> Question:
    return Question(label, urlencode(query))


def _one(connection: psycopg.Connection[Any], statement: Any) -> Any:
    found = connection.execute(statement).fetchone()
    if found is None or found[0] is None:
        raise LookupError(f"no rows: {statement}")
    return found[0]
