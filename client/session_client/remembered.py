"""The rules of remembering: which yes is remembered, when it counts, and what an event does to it.

Values and `now` only: no network, no clock. All times are seconds of `clock.now`. Threads and tasks share one `Memory`.

A remembered yes counts while all of these hold; every boundary is exclusive:

1. it was given to the same token, user agent and forwarded-for (the key);
2. neither the token's `exp` nor the session's `expires_at` or `idle_expires_at` has come;
3. it was asked for less than `recheck_seconds` ago;
4. the lease holds: less than `lease_seconds` have passed since the beginning of the last complete question to the feed;
5. it was asked for after the feed's first position was known, and that position is still being followed;
6. no event has ended its session, not even while the answer was under way.

**Why one lease is enough.** An end that is committed at time c is part of every complete answer to a question begun
after c. Events are applied before the lease is extended, under one lock. So if the entry is still there at time t, and
t is before the lease's end, then the last complete question began before c, and t < c + lease.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from threading import Lock
from typing import Literal, NamedTuple

from session_client.answers import ActiveSession, Yes

MOST_KNOWN_ENDS = 10_000
"""Ends that are kept for answers under way. A question from before the oldest of them is not remembered."""

Outcome = Literal["remembered", "not remembered", "ended"]


class Question(NamedTuple):
    """A question to `validate`, as it was when it was begun."""

    begun_at: float
    epoch: int | None
    """Which run of the feed was followed; None if no position was known."""
    ends_seen: int
    """How many ends the feed had told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A remembered yes."""

    session: ActiveSession
    recheck_at: float
    limit: float
    """When the token or the session runs out, at the earliest."""


def limit_of(yes: Yes, exp: int | None, begun_at: float) -> float | None:
    """Return the earliest of the token's and the session's time limits on this process's clock; None if it is unknown.

    The limits are times of the service's clock, which may be far from this machine's. Its `Date` header has whole
    seconds, so the answer was made before `answered_at + 1`, and on our clock after the question began: the result is
    never later than the true limit, and at most a second and the answer's time earlier.
    """
    if exp is None or yes.limits is None or yes.answered_at is None:
        return None
    return begun_at + (min(exp, *yes.limits) - (yes.answered_at + 1))


def counts(entry: Entry, lease_until: float, now: float) -> bool:
    """Return whether a remembered yes may be given at *now* without a question."""
    return now < lease_until and now < entry.recheck_at and now < entry.limit


def counts_in_outage(entry: Entry, lease_until: float, now: float, outage_seconds: float) -> bool:
    """Return whether a remembered yes may stand in for an answer that the service does not give.

    For *outage_seconds* after it stopped to count by itself, and never past a time limit of the token or the session.
    """
    return now < min(lease_until, entry.recheck_at) + outage_seconds and now < entry.limit


class Memory:
    """The remembered answers of one process; the least recently used ones give way. Safe for threads."""

    def __init__(self, *, most: int = 100_000, recheck_seconds: float = 60.0) -> None:
        """Remember at most *most* answers, each for at most *recheck_seconds* after its question began."""
        self._most, self._recheck_seconds = most, recheck_seconds
        self._lock = Lock()
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._keys: dict[int, tuple[bytes, ...]] = {}
        """By session: the keys of its entries."""
        self._ends: OrderedDict[int, int] = OrderedDict()
        """By session: its number among the ends that were told; the oldest first, at most `MOST_KNOWN_ENDS`."""
        self._ends_seen = self._ends_forgotten = 0
        self._epoch: int | None = None
        self._epochs = 0
        self._lease_until = self._lease_not_before = -inf

    def __len__(self) -> int:
        """Return the number of remembered answers, whether they still count or not."""
        return len(self._entries)

    def holds_lease(self, now: float) -> bool:
        """Return whether the lease holds at *now*."""
        return now < self._lease_until

    # The feed

    def start(self) -> None:
        """Begin a new epoch: a first position of the feed is known. Nothing from before is remembered."""
        self.stop()
        with self._lock:
            self._epochs += 1
            self._epoch = self._epochs

    def stop(self) -> None:
        """Forget everything: no position is known, or the one that was followed is gone."""
        with self._lock:
            self._entries.clear()
            self._keys.clear()
            self._ends.clear()
            self._ends_forgotten = self._ends_seen
            self._epoch, self._lease_until = None, -inf

    def end(self, session_id: int) -> None:
        """Forget a session that has ended, and refuse answers about it that are under way."""
        with self._lock:
            self._ends_seen += 1
            self._ends[session_id] = self._ends_seen
            self._ends.move_to_end(session_id)
            if len(self._ends) > MOST_KNOWN_ENDS:
                self._ends_forgotten = self._ends.popitem(last=False)[1]
            for key in self._keys.pop(session_id, ()):
                del self._entries[key]

    def extend(self, begun_at: float, lease_seconds: float) -> None:
        """Extend the lease: the complete answer to a question that was begun at *begun_at* has been applied."""
        with self._lock:
            if begun_at >= self._lease_not_before:
                self._lease_until = begun_at + lease_seconds

    def lapse(self, now: float) -> None:
        """Let the lease end: this process knows of ends that the feed has not told it yet.

        Only an answer to a question that is begun from *now* on extends it again.
        """
        with self._lock:
            self._lease_until, self._lease_not_before = -inf, now

    # Questions

    def begin(self, now: float) -> Question:
        """Note that a question to `validate` begins."""
        with self._lock:
            return Question(now, self._epoch, self._ends_seen)

    def remember(self, question: Question, key: bytes, yes: Yes, exp: int | None) -> Outcome:
        """Remember the yes to a question, if the rules allow it.

        Returns:
            "ended" if the feed has told the end of that session since the question began: the answer is out of date.
        """
        session_id, limit = yes.session.session_id, limit_of(yes, exp, question.begun_at)
        with self._lock:
            if session_id is None:
                return "not remembered"  # nothing would ever end it
            if self._epoch is None or question.epoch != self._epoch:
                return "not remembered"
            if self._ends.get(session_id, 0) > question.ends_seen:
                return "ended"
            if question.ends_seen < self._ends_forgotten or limit is None:
                return "not remembered"
            self._drop(key)
            self._entries[key] = Entry(yes.session, question.begun_at + self._recheck_seconds, limit)
            self._keys[session_id] = (*self._keys.get(session_id, ()), key)
            if len(self._entries) > self._most:
                self._drop(next(iter(self._entries)))
            return "remembered"

    def forget(self, key: bytes) -> None:
        """Forget one caller: the service has said no."""
        with self._lock:
            self._drop(key)

    def find(self, key: bytes, now: float) -> ActiveSession | None:
        """Return the remembered yes for a caller, if it counts at *now*."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or not counts(entry, self._lease_until, now):
                return None
            self._entries.move_to_end(key)
            return entry.session

    def find_in_outage(self, key: bytes, now: float, outage_seconds: float) -> ActiveSession | None:
        """Return the remembered yes for a caller, if it may stand in for the service at *now*."""
        with self._lock:
            entry = self._entries.get(key)
            may = entry is not None and counts_in_outage(entry, self._lease_until, now, outage_seconds)
            return entry.session if entry is not None and may else None

    def session_of(self, key: bytes) -> int | None:
        """Return the session of a remembered yes, whether it counts or not."""
        with self._lock:
            entry = self._entries.get(key)
            return entry.session.session_id if entry else None

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None or entry.session.session_id is None:
            return
        left = tuple(one for one in self._keys[entry.session.session_id] if one != key)
        if left:
            self._keys[entry.session.session_id] = left
        else:
            del self._keys[entry.session.session_id]
