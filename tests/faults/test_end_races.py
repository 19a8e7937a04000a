"""Ends at once with touches, checks and other ends: an acknowledged end stays one, and is one for every process.

The detectors find planted faults under the same loads, as in `test_sign_in_races`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from threading import Event
from time import monotonic
from typing import NamedTuple

from tests.harness.callers import TOKEN_NUMBERS, Answer, Caller, at_once, callers
from tests.harness.records import Faults, Records, Row, faults_of_rows, said
from tests.harness.reports import note
from tests.harness.servers import faulty, gunicorn
from tests.harness.sign_ins import creates_and_logouts_at_once, faults_of_logouts
from tests.harness.support import IPHONE, USER, make_token

# Touching what ends


class Touch(NamedTuple):
    """A touch: when it set out, and what it was answered."""

    began: float
    answer: Answer


class Ended(NamedTuple):
    """What came of a session that was touched and ended: the row as the end was acknowledged, and in the end."""

    touches: list[Touch]
    acknowledged: float
    row: Row
    afterwards: Row

    @property
    def after_the_end(self) -> list[Answer]:
        return [touch.answer for touch in self.touches if touch.began > self.acknowledged]


def touch_and_end(urls: Sequence[str], database_url: str, user_id: int, ender: Caller) -> Ended:
    """Touch one session 100 times, from 10 sides; let *ender* end it after the first 30 touches."""
    touches: list[Touch] = []
    middle = Event()

    def touch(side: Caller) -> None:
        for _ in range(10):
            touches.append(Touch(monotonic(), side.call("POST", "/sessions/update-activity")))
            if len(touches) >= 30:
                middle.set()

    def end() -> tuple[float, Row]:
        assert middle.wait(20)
        answer = ender.call("DELETE", f"/sessions/session/{session_id}")
        acknowledged = monotonic()
        assert answer.status == 200, answer
        return acknowledged, records.rows(f"id = {session_id}")[0]

    token = make_token(user_id, n=next(TOKEN_NUMBERS))
    with ExitStack() as stack:
        records = stack.enter_context(closing(Records(database_url)))
        sides = [stack.enter_context(closing(Caller(urls[one % len(urls)], token))) for one in range(10)]
        session_id = sides[0].create("touched").body["id"]
        with ThreadPoolExecutor(len(sides) + 1) as pool:
            ending = pool.submit(end)
            list(pool.map(touch, sides))
        return Ended(touches, *ending.result(), records.rows(f"id = {session_id}")[0])


def touches_against_ends(urls: Sequence[str], database_url: str, sessions: int) -> list[Ended]:
    """Touch and end some sessions, one after the other, by another device of the user's or by an admin in turn."""
    ended = []
    with callers(urls, 1, 1, role="admin") as admins:
        for user_id in range(USER, USER + sessions):
            # Another browser: the same one without a session of its own would be taken for the one that is touched.
            other = Caller(urls[0], make_token(user_id, n=next(TOKEN_NUMBERS)), **{"User-Agent": IPHONE})
            with closing(other):
                ended.append(touch_and_end(urls, database_url, user_id, admins[0] if user_id % 2 else other))
    touches = [touch for one in ended for touch in one.touches]
    note(f"{len(touches)} touches: {Counter((one.answer.status, one.answer.code) for one in touches)}")
    note(f"{sum(len(one.after_the_end) for one in ended)} began after the end of their session was acknowledged")
    return ended


def faults_of_ended(one: Ended) -> Faults:
    """Find an end that did not last, or that something came after."""
    faults = faults_of_rows([one.row, one.afterwards])
    if one.row.ended_at is None or one.row != one.afterwards:
        faults.append(f"changed after its end: {one.row} became {one.afterwards}")
    late = [answer for answer in one.after_the_end if (answer.status, answer.code) != (401, "session_ended")]
    faults += [f"let in after the end: {answer}" for answer in late]
    answers = [touch.answer for touch in one.touches]
    odd = [answer for answer in answers if answer.status != 200 and answer.code != "session_ended"]
    return faults + [f"refused: {answer}" for answer in odd]


def test_none_of_2000_touches_revives_a_session_that_was_ended(urls: list[str], database_url: str) -> None:
    ended = touches_against_ends(urls, database_url, sessions=20)

    assert [fault for one in ended for fault in faults_of_ended(one)] == []
    assert sum(len(one.touches) for one in ended) == 2_000
    assert sum(len(one.after_the_end) for one in ended) >= 500
    assert {(one.row.end_reason, one.row.ended_by == "1") for one in ended} == {("revoked", False), ("admin", True)}


def test_a_touch_that_writes_the_whole_row_back_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "touch writes the row back") as urls:
        ended = touches_against_ends(urls, database_url, sessions=1)

    faults = said([fault for one in ended for fault in faults_of_ended(one)])
    assert faults >= {"changed after its end", "let in after the end"}


# Ending what has ended


def ends_at_once(urls: Sequence[str], database_url: str) -> tuple[list[Answer], Faults]:
    """Let 32 admins end one session at once; find ends that differ, as read after each answer and in the end."""
    with ExitStack() as stack:
        (device,) = stack.enter_context(callers(urls, 1))
        admins = [
            stack.enter_context(callers([urls[one % len(urls)]], 1, 1_000 + one, role="admin"))[0] for one in range(32)
        ]
        records = [stack.enter_context(closing(Records(database_url))) for _ in admins]
        session_id = device.create("ended").body["id"]

        def end(admin: Caller, own: Records) -> tuple[Answer, Row]:
            return admin.call("DELETE", f"/sessions/session/{session_id}"), own.rows(f"id = {session_id}")[0]

        ended = at_once([partial(end, *pair) for pair in zip(admins, records, strict=True)])
        seen = [row for _, row in ended] + records[0].rows(f"id = {session_id}")
    note(f"{Counter(answer.status for answer, _ in ended)}, ended by {Counter(row.ended_by for row in seen)}")
    faults = faults_of_rows(seen)
    if len(set(seen)) > 1 or seen[0].ended_at is None:
        faults.append(f"ended otherwise each time: {set(seen)}")
    return [answer for answer, _ in ended], faults


def test_32_admins_who_end_one_session_at_once_end_it_once(urls: list[str], database_url: str) -> None:
    answers, faults = ends_at_once(urls, database_url)

    closed = {"success": True, "message": "Session closed successfully"}
    assert [(answer.status, answer.body) for answer in answers] == [(200, closed)] * 32
    assert faults == []


def test_an_end_that_does_not_look_whether_there_was_one_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "ends without looking") as urls:
        _, ending = ends_at_once(urls, database_url)
        leaving = creates_and_logouts_at_once(urls, database_url, rounds=2, user_id=USER + 1)

    assert said(ending) >= {"ended otherwise each time"}
    assert said(faults_of_logouts(leaving)) >= {"miscounted"}


# Checks right after an end


@contextmanager
def single_workers(database_url: str, number: int = 3) -> Iterator[list[str]]:
    """Serve one database from gunicorns of one worker each, so that every worker can be asked by its address."""
    with ExitStack() as stack:
        yield [stack.enter_context(gunicorn(database_url, WEB_CONCURRENCY="1")) for _ in range(number)]


def checks_after_ends(urls: Sequence[str], rounds: int, each: int) -> list[Answer]:
    """End a session in each round, then check on it *each* times from two connections to each of *urls*.

    Every worker has said yes before the end. Half of the checks after it are by refreshed tokens of that device.
    """
    late: list[Answer] = []
    with callers(urls, 1, 1, role="admin") as (admin,):
        for user_id in range(USER, USER + rounds):
            token = make_token(user_id, n=next(TOKEN_NUMBERS))
            refreshed = [make_token(user_id, refreshed=next(TOKEN_NUMBERS)) for _ in urls]
            with ExitStack() as stack:
                pairs = zip([*urls, *urls], [token] * len(urls) + refreshed, strict=True)
                sides = [stack.enter_context(closing(Caller(*pair))) for pair in pairs]
                session_id = sides[0].create("checked").body["id"]
                assert [side.call("GET", "/sessions/validate").status for side in sides[: len(urls)]] == [200] * len(
                    urls
                )
                assert admin.call("DELETE", f"/sessions/session/{session_id}").status == 200
                checks = [partial(side.call, "GET", "/sessions/validate") for side in sides]
                late += [answer for _ in range(each // len(sides)) for answer in at_once(checks)]
    note(f"{len(late)} checks right after acknowledged ends: {Counter((one.status, one.code) for one in late)}")
    return late


def test_of_2000_checks_right_after_acknowledged_ends_none_is_a_stale_yes(database_url: str) -> None:
    with single_workers(database_url) as urls:
        late = checks_after_ends(urls, rounds=20, each=102)

    assert len(late) >= 2_000
    assert {(answer.status, answer.code) for answer in late} == {(401, "session_ended")}


def test_a_worker_that_remembers_sessions_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "remembers sessions") as urls:
        late = checks_after_ends(urls * 4, rounds=2, each=16)

    assert {answer.status for answer in late} > {200}
