"""Following the feed of the service: what to ask next, when, and what an answer changes. No network, no clock.

`FeedReader` decides; the thread of `SessionClient` and the task of `AsyncSessionClient` only carry its questions.
"""

import logging
from dataclasses import dataclass
from math import isfinite

from session_client.answers import Answer
from session_client.caller import key_of
from session_client.calls import Call, ended_sessions, ends_own_session
from session_client.remembered import Memory

PATH = "/sessions/feed"

LONGEST_LEASE_SECONDS = 60.0
"""A longer lease of the service is cut to this: the shorter one is always safe."""

SHORTEST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 5.0
"""Between questions after failures in a row, which begin with the shortest."""

IDLE_SECONDS = 30.0
"""Between questions while there is nothing to follow: a lease of 0, no feed, or credentials that are refused."""

_log = logging.getLogger("session_client")


@dataclass(frozen=True)
class Page:
    """One answer of the feed."""

    ended: tuple[int, ...]
    """The sessions whose ends it tells."""
    position: str
    complete: bool
    lease_seconds: float
    is_empty: bool


def page_of(answer: Answer) -> Page:
    """Return the page of an answer with status 200. Events of other types are passed over.

    Raises:
        ValueError: it is something else; nothing of it may be used.
    """
    said = answer.json
    if not isinstance(said, dict):
        raise ValueError("not an object")
    events, position, complete, lease = (said.get(name) for name in ("events", "position", "complete", "lease_seconds"))
    if not isinstance(events, list) or not isinstance(position, str) or not position or not isinstance(complete, bool):
        raise ValueError("not a page of the feed")
    if isinstance(lease, bool) or not isinstance(lease, int | float) or not isfinite(lease) or lease < 0:
        raise ValueError("no lease")
    ended = tuple(_ended_by(event) for event in events if _type_of(event) == "session.ended")
    return Page(ended, position, complete, min(float(lease), LONGEST_LEASE_SECONDS), not events)


def _type_of(event: object) -> str:
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise ValueError("not an event")
    return str(event["type"])


def _ended_by(event: dict[str, object]) -> int:
    data = event.get("data")
    session_id = data.get("session_id") if isinstance(data, dict) else None
    if isinstance(session_id, bool) or not isinstance(session_id, int):
        raise ValueError("an end without its session")
    return session_id


class FeedReader:
    """Where one process stands in the feed. Used by one thread or task at a time; it changes the memory."""

    def __init__(self, memory: Memory) -> None:
        """Stand nowhere yet: the first question asks for the present position."""
        self._memory = memory
        self._position: str | None = None
        self._failures = 0
        self._trouble = ""
        self.lease_seconds = 1.0
        """The lease as the service last said it."""

    @property
    def query(self) -> dict[str, str]:
        """The query of the next question."""
        return {} if self._position is None else {"after": self._position}

    def answered(self, answer: Answer, begun_at: float) -> float:
        """Apply the answer to the question that was begun at *begun_at*; return when the next one should begin.

        Events are applied before the lease is extended. With a position that is gone, everything begins anew.
        """
        if answer.status == 410 and self._position is not None:
            self._position = None
            self._memory.stop()
            return begun_at
        if answer.status in {401, 403, 404}:
            self._report(f"the feed is refused ({answer.status} {answer.code}): nothing is remembered")
            return begun_at + IDLE_SECONDS
        if answer.status != 200:
            return self.failed(begun_at, f"status {answer.status}")
        try:
            page = page_of(answer)
        except ValueError as error:
            return self.failed(begun_at, f"not a page of the feed: {error}")
        if self._position is None:
            self._memory.start()
        for session_id in page.ended:
            self._memory.end(session_id)
        self._position, self._failures, self.lease_seconds = page.position, 0, page.lease_seconds
        self._report("")
        if not page.complete:
            return begun_at + (SHORTEST_WAIT_SECONDS if page.is_empty else 0)
        self._memory.extend(begun_at, page.lease_seconds)
        return begun_at + (page.lease_seconds / 2 if page.lease_seconds > 0 else IDLE_SECONDS)

    def failed(self, begun_at: float, why: str) -> float:
        """Note that a question got no usable answer; return when the next one should begin.

        The position is kept: nothing is lost if the service comes back. Meanwhile the lease runs out.
        """
        wait = min(SHORTEST_WAIT_SECONDS * (1 << self._failures), LONGEST_WAIT_SECONDS)
        self._failures = min(self._failures + 1, 16)
        if self._failures > 2:
            self._report(f"the feed does not answer ({why}): each request is asked about")
        return begun_at + wait

    def _report(self, trouble: str) -> None:
        """Log a change between following and not following, once."""
        if trouble and not self._trouble:
            _log.warning("%s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the feed answers again")
        self._trouble = trouble


def forget_ended(memory: Memory, call: Call, answer: Answer, now: float) -> bool:
    """Forget what a call of this process has ended, before the feed tells it.

    Returns:
        whether it has ended sessions that the answer does not name: the lease has lapsed, and the feed must be asked.
    """
    ended = ended_sessions(call, answer)
    if call.caller is not None and answer.status == 200 and ends_own_session(call):
        own = memory.session_of(key_of(call.caller))
        ended += [] if own is None else [own]
    for session_id in ended:
        memory.end(session_id)
    # Only if sessions have ended: a caller who repeats the call must not keep this process from remembering.
    has_unnamed = call.method == "DELETE" and answer.status == 200 and bool(answer.problem.get("closed"))
    if has_unnamed:
        memory.lapse(now)
    return has_unnamed
