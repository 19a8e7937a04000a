"""Following the feed: what each answer changes, and when the next question begins."""

import json
from typing import Any

import pytest

from session_client.answers import ActiveSession, Answer, Yes
from session_client.caller import Caller, key_of
from session_client.calls import Call
from session_client.feed import (
    IDLE_SECONDS,
    LONGEST_LEASE_SECONDS,
    LONGEST_WAIT_SECONDS,
    FeedReader,
    forget_ended,
)
from session_client.remembered import Memory

KEY = b"key"


def page(*ended: int, position: str = "p", complete: Any = True, lease: Any = 1.0, **more: Any) -> Answer:
    events = [
        {"id": n, "type": "session.ended", "timestamp": "2026-01-01T00:00:00Z", "data": {"session_id": n, "user_id": 7}}
        for n in ended
    ]
    said = {"events": events, "position": position, "complete": complete, "lease_seconds": lease, **more}
    return Answer(200, {}, json.dumps(said).encode())


def problem(status: int, code: str) -> Answer:
    return Answer(status, {}, json.dumps({"code": code}).encode())


class Followed:
    """A memory and its reader, which have had the first answer."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.reader = FeedReader(self.memory)
        self.reader.answered(page(position="first"), 0.0)

    def remember(self, session_id: int, at: float = 0.0) -> str:
        yes = Yes(ActiveSession(74, session_id), 0.0, (9e9,))
        return self.memory.remember(self.memory.begin(at), str(session_id).encode(), yes, 9_000_000_000)

    def knows(self, session_id: int, now: float) -> bool:
        return self.memory.find(str(session_id).encode(), now) is not None


def test_the_first_question_asks_for_the_present_position_and_the_next_ones_continue_there() -> None:
    memory = Memory()
    reader = FeedReader(memory)
    assert reader.query == {}

    assert reader.answered(page(position="first"), 5.0) == 5.5
    assert reader.query == {"after": "first"}
    reader.answered(page(1, position="second"), 5.5)

    assert reader.query == {"after": "second"}
    assert memory.holds_lease(6.4)
    assert not memory.holds_lease(6.5)


def test_events_end_sessions_in_any_order_twice_and_late() -> None:
    followed = Followed()
    for session_id in (1, 2, 3, 4):
        assert followed.remember(session_id) == "remembered"

    followed.reader.answered(page(3, 1, 3), 0.1)
    followed.reader.answered(page(1), 0.2)
    assert [followed.knows(n, 0.3) for n in (1, 2, 3, 4)] == [False, True, False, True]
    followed.reader.answered(page(2), 0.3)  # number 2 of the events comes after number 3

    assert [followed.knows(n, 0.4) for n in (1, 2, 3, 4)] == [False, False, False, True]


def test_an_answer_that_arrives_after_its_lease_extends_nothing_but_its_events_count() -> None:
    followed = Followed()
    followed.remember(1)
    followed.remember(2)

    followed.reader.answered(page(1), 0.5)  # it arrived at 3

    assert not followed.knows(2, 3.0)
    followed.reader.answered(page(), 3.0)
    assert (followed.knows(1, 3.1), followed.knows(2, 3.1)) == (False, True)


def test_an_incomplete_answer_extends_nothing_and_is_followed_by_the_next_question_at_once() -> None:
    followed = Followed()
    followed.remember(1)
    followed.remember(2)

    assert followed.reader.answered(page(1, position="500 further", complete=False), 0.9) == 0.9
    assert followed.reader.query == {"after": "500 further"}
    assert (followed.knows(1, 0.95), followed.knows(2, 0.95), followed.knows(2, 1.0)) == (False, True, False)
    # Nothing to hand out, but a transaction that is under way: not at once.
    assert 1.0 < followed.reader.answered(page(complete=False), 1.0) < 1.2


def test_events_of_other_types_are_passed_over() -> None:
    followed = Followed()
    followed.remember(1)
    created = {"id": 9, "type": "session.created", "data": {"session_id": 1}}
    unknown = {"id": 10, "type": "something.new"}

    followed.reader.answered(page(events=[created, unknown], position="next"), 0.1)

    assert followed.knows(1, 0.2)
    assert followed.reader.query == {"after": "next"}


RUBBISH = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b"{}",
    b"[" * 100_000,
    b"\xff\xfe",
    page(position="").body,
    page(lease=None).body,
    page(lease=-1).body,
    page(lease=True).body,
    page(lease=float("nan")).body,
    page(lease=float("inf")).body,
    page(lease="1").body,
    page(complete=None).body,
    page(complete=1).body,
    page(events=None).body,
    page(events=[1]).body,
    page(events=[{"type": None}]).body,
    page(events=[{"type": "session.ended"}]).body,
    page(events=[{"type": "session.ended", "data": {"session_id": "1"}}]).body,
    page(events=[{"type": "session.ended", "data": {"session_id": True}}]).body,
]


@pytest.mark.parametrize("body", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_changes_nothing_and_extends_nothing(body: bytes) -> None:
    followed = Followed()
    followed.remember(1)

    wait = followed.reader.answered(Answer(200, {}, body), 0.9) - 0.9

    assert 0 < wait < 1
    assert followed.knows(1, 0.95)
    assert not followed.knows(1, 1.0)
    assert followed.reader.query == {"after": "first"}


def test_rubbish_at_first_begins_nothing() -> None:
    followed = Followed()
    memory = Memory()
    reader = FeedReader(memory)

    reader.answered(Answer(200, {}, b"{}"), 0.0)

    assert memory.begin(0.1).epoch is None
    assert reader.query == {}
    assert followed.memory.begin(0.1).epoch is not None


def test_a_position_that_is_gone_begins_anew_at_once() -> None:
    followed = Followed()
    followed.remember(1)

    assert followed.reader.answered(problem(410, "feed_position_gone"), 0.5) == 0.5
    assert followed.reader.query == {}
    assert followed.remember(2, at=0.6) == "not remembered"
    followed.reader.answered(page(position="anew"), 0.6)

    assert not followed.knows(1, 0.7)
    assert followed.remember(1, at=0.7) == "remembered"
    # A feed that says so without having been asked for a position is broken, and is not asked in a circle.
    reader = FeedReader(Memory())
    assert reader.answered(problem(410, "feed_position_gone"), 0.5) > 0.5


def test_failures_keep_the_position_and_wait_longer_each_time() -> None:
    followed = Followed()

    waits = [followed.reader.failed(0.0, "no connection") for _ in range(40)]

    assert waits == sorted(waits)
    assert (0 < waits[0] < 0.2, waits[-1]) == (True, LONGEST_WAIT_SECONDS)
    assert followed.reader.query == {"after": "first"}
    followed.reader.answered(page(), 0.0)
    assert followed.reader.failed(0.0, "no connection") == waits[0]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_feed_that_refuses_is_asked_rarely_and_said_once(status: int, caplog: pytest.LogCaptureFixture) -> None:
    reader = FeedReader(Memory())

    assert [reader.answered(problem(status, "x"), 0.0) for _ in range(3)] == [IDLE_SECONDS] * 3

    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_with_a_lease_of_0_nothing_counts_and_the_feed_is_asked_rarely() -> None:
    memory = Memory()
    reader = FeedReader(memory)

    assert reader.answered(page(lease=0), 5.0) == 5.0 + IDLE_SECONDS

    assert not memory.holds_lease(5.0)


def test_an_absurd_lease_is_cut() -> None:
    memory = Memory()

    FeedReader(memory).answered(page(lease=1e9), 0.0)

    assert memory.holds_lease(LONGEST_LEASE_SECONDS - 0.1)
    assert not memory.holds_lease(LONGEST_LEASE_SECONDS)


def test_an_outage_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    followed = Followed()

    for _ in range(10):
        followed.reader.failed(0.0, "no connection")
    followed.reader.answered(page(), 0.0)
    followed.reader.answered(page(), 0.0)

    assert [record.getMessage()[:30] for record in caplog.records] == [
        "the feed does not answer (no c",
        "the feed answers again",
    ]


@pytest.mark.parametrize(("closed", "lapses"), [(2, True), (0, False)])
def test_a_call_that_ended_sessions_without_naming_them_lets_the_lease_lapse(closed: int, lapses: bool) -> None:
    """A caller who repeats it ends nothing more, and cannot keep the process from remembering."""
    followed = Followed()
    followed.remember(1)
    call = Call("DELETE", "/sessions/logout-all?exclude_current=true")

    assert forget_ended(followed.memory, call, Answer(200, {}, json.dumps({"closed": closed}).encode()), 0.5) == lapses

    assert followed.knows(1, 0.6) is not lapses
    followed.reader.answered(page(), 0.4)  # it was under way
    assert followed.knows(1, 0.7) is not lapses
    followed.reader.answered(page(), 0.7)
    assert followed.knows(1, 0.8)


def test_a_sign_out_forgets_its_own_session() -> None:
    followed, caller = Followed(), Caller("Bearer x", None, None)
    yes = Yes(ActiveSession(74, 5), 0.0, (9e9,))
    followed.memory.remember(followed.memory.begin(0.0), key_of(caller), yes, 9_000_000_000)
    call = Call("DELETE", "/sessions/logout", caller=caller)

    forget_ended(followed.memory, call, Answer(503, {}, b"{}"), 0.5)
    assert followed.memory.find(key_of(caller), 0.6)
    assert not forget_ended(followed.memory, call, Answer(200, {}, b"{}"), 0.5)

    assert followed.memory.find(key_of(caller), 0.6) is None
