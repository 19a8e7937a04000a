"""Many at once, over several processes, on both databases: what must hold at every instant, as seen from outside.

Each load has a detector, which says in words what it found wrong. The service must leave it nothing to say;
and the same load on a service with a fault (`tests/faulty.py`) must make it speak, or its silence means nothing.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from threading import Barrier, Event, Thread
from time import monotonic
from typing import Any, NamedTuple, TypeVar

import psycopg
import pytest
import urllib3

from tests.servers import gunicorn
from tests.support import CHROME, IPHONE, MEASURED, make_token

LIMIT = 3
SIGN_INS_PER_MINUTE = 5
USER = 74

Faults = list[str]
"""What a detector found, in words."""
T = TypeVar("T")


def note(text: str) -> None:
    """Write down what was tried, to be shown at the end of the run with the name of the test."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].removesuffix(" (call)").removesuffix(" (setup)")
    MEASURED.append(f"{test}: {text}")


# The service, and those who call it


@contextmanager
def fleet(database_url: str, **settings: str) -> Iterator[list[str]]:
    """Serve one database from a gunicorn with two workers and a second one with one more; give their URLs."""
    settings = {"MAX_SIGN_INS_PER_MINUTE": "0", **settings}
    with gunicorn(database_url, **settings) as first, gunicorn(database_url, **settings, WEB_CONCURRENCY="1") as second:
        yield [first, second]


@contextmanager
def faulty(database_url: str, fault: str, arguments: str = "", **settings: str) -> Iterator[list[str]]:
    """Serve the database from a gunicorn with two workers and a fault; give its URL."""
    settings = {"MAX_SIGN_INS_PER_MINUTE": "0", **settings}
    # Loaded once for both workers: half of the time that such a test takes would be their start.
    arguments = f"--preload {arguments}"
    with gunicorn(database_url, app="tests.faulty:app", FAULT=fault, GUNICORN_CMD_ARGS=arguments, **settings) as url:
        yield [url]


@pytest.fixture(scope="module")
def start_fleet() -> Iterator[Callable[[str], list[str]]]:
    """Return a function that starts the service on a database, with default settings, once for this module."""
    with ExitStack() as stack:
        yield cache(lambda database_url: stack.enter_context(fleet(database_url)))


@pytest.fixture
def urls(database_url: str, start_fleet: Callable[[str], list[str]]) -> list[str]:
    """Return the addresses of two gunicorns on one database without rows."""
    return start_fleet(database_url)


class Answer(NamedTuple):
    """What a call was answered."""

    status: int
    body: Any
    retry_after: str | None

    @property
    def code(self) -> str | None:
        """The code of a problem; None for an answer that is none."""
        return self.body.get("code") if isinstance(self.body, dict) else None


class Caller:
    """Somebody with a token, and with a connection that is open before the first call."""

    def __init__(self, url: str, token: str, **headers: str) -> None:
        self._http = urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=20)
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME, **headers}
        self._http.request("GET", "/healthz")

    def call(self, method: str, path: str, **kwargs: Any) -> Answer:
        response = self._http.request(method, path, headers=self._headers, **kwargs)
        return Answer(response.status, response.json(), response.headers.get("Retry-After"))

    def create(self, fingerprint: str) -> Answer:
        return self.call("POST", "/sessions/create", json={"device_fingerprint": fingerprint})

    def close(self) -> None:
        self._http.close()


_tokens = iter(range(1, 1_000_000))


@contextmanager
def callers(urls: Sequence[str], number: int, user_id: int = USER, **claims: Any) -> Iterator[list[Caller]]:
    """Give callers with a token of their own each, spread over *urls*."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(Caller(urls[one % len(urls)], make_token(user_id, n=next(_tokens), **claims))))
            for one in range(number)
        ]


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make *calls* together, in a thread each; return what they returned."""
    barrier = Barrier(len(calls), timeout=20)

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))


# What is on record, whatever the service says


class Row(NamedTuple):
    """A session, as it is in the table."""

    id: int
    user_id: str
    created_at: datetime
    last_activity: datetime
    ended_at: datetime | None
    end_reason: str | None
    ended_by: str | None
    successor_id: int | None


class Records:
    """A connection to the database beside the service's own; each statement stands for itself."""

    def __init__(self, database_url: str) -> None:
        path = database_url.removeprefix("sqlite:///")
        self._connection: Any = (
            psycopg.connect(database_url, autocommit=True)
            if path == database_url
            else sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        )

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []

    def rows(self, condition: str = "true") -> list[Row]:
        """Return the sessions of which *condition* holds, in the order of their creation."""
        found = self.run(f"SELECT {', '.join(Row._fields)} FROM sessions WHERE {condition} ORDER BY id")
        return [
            Row._make(
                _instant(value) if name.endswith(("_at", "_activity")) else value
                for name, value in zip(Row._fields, row, strict=True)
            )
            for row in found
        ]

    def count_active(self, user_id: int) -> int:
        return int(self.run(f"SELECT count(*) FROM sessions WHERE user_id = '{user_id}' AND ended_at IS NULL")[0][0])

    def close(self) -> None:
        self._connection.close()


def _instant(value: Any) -> Any:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


@dataclass
class Watch:
    """What a connection saw that looked all the while."""

    most: int = 0
    looks: int = 0


@contextmanager
def watching(database_url: str, user_id: int = USER) -> Iterator[Watch]:
    """Count a user's active sessions over and over until the caller is done."""
    watch, done = Watch(), Event()

    def look() -> None:
        with closing(Records(database_url)) as records:
            # A sign-in takes longer than what is waited here.
            while not done.wait(0.001):
                watch.most = max(watch.most, records.count_active(user_id))
                watch.looks += 1

    thread = Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


def faults_of_rows(rows: Sequence[Row]) -> Faults:
    """Find sessions that neither are active nor ended once, for a reason, in favour of whoever took their place."""
    faults, ids = [], {row.id for row in rows}
    for row in rows:
        if row.ended_at is None:
            if (row.end_reason, row.ended_by, row.successor_id) != (None, None, None):
                faults.append(f"active, with an end: {row}")
            continue
        if row.end_reason is None or row.ended_by is None:
            faults.append(f"ended without a reason: {row}")
        if row.end_reason not in {"limit", "replaced"}:
            if row.successor_id is not None:
                faults.append(f"ended for nobody, with a successor: {row}")
        elif row.successor_id not in ids or row.successor_id <= row.id:
            faults.append(f"gave way to nobody: {row}")
        if row.ended_at < row.last_activity:
            faults.append(f"active after its end: {row}")
    return faults


# Sign-ins at once


@dataclass(frozen=True)
class Load:
    """What came of a load: the answers, the user's rows afterwards, and what was seen meanwhile."""

    answers: list[Answer]
    rows: list[Row]
    watch: Watch

    @property
    def created(self) -> list[Any]:
        return [answer.body for answer in self.answers if answer.status == 201]

    @property
    def active(self) -> list[int]:
        return [row.id for row in self.rows if row.ended_at is None]


def creates_at_once(
    urls: Sequence[str], database_url: str, number: int, *, same_device: bool = False, user_id: int = USER
) -> Load:
    with callers(urls, number, user_id) as devices, watching(database_url, user_id) as watch:
        fingerprints = ["the same" if same_device else f"device {one}" for one in range(number)]
        answers = at_once([partial(device.create, name) for device, name in zip(devices, fingerprints, strict=True)])
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{user_id}'")
    note(f"{Counter(answer.status for answer in answers)}, {len(rows)} rows; {watch}")
    return Load(answers, rows, watch)


def faults_of_creates(load: Load, *, most: int = LIMIT) -> Faults:
    """Find an instant with more than *most* active sessions, lost sessions, and ends that differ from the answers."""
    faults = faults_of_rows(load.rows)
    if max(load.watch.most, len(load.active)) > most:
        faults.append(f"over the limit: {load.watch.most} at once, {len(load.active)} in the end")
    rows = {row.id: row for row in load.rows}
    faults += [f"lost: {one}" for one in load.created if one["id"] not in rows]
    told = Counter(
        (one["id"], datetime.fromisoformat(one["ended_at"]), created["id"])
        for created in load.created
        for one in created["evicted"]
    )
    ended = Counter((row.id, row.ended_at, row.successor_id) for row in load.rows if row.end_reason == "limit")
    if told != ended:
        faults.append(f"evicted by the answers, not on record: {told - ended}; the other way round: {ended - told}")
    return faults


def faults_of_order(rows: Sequence[Row], goes_first: Callable[[Row], Any], limit: int = LIMIT) -> Faults:
    """Find sessions that did not give way to the one to which they had to, taking the sign-ins one after the other."""
    successors: dict[int, int] = {}
    active: list[Row] = []
    for row in rows:
        if len(active) == limit:
            active.remove(loser := min(active, key=goes_first))
            successors[loser.id] = row.id
        active.append(row)
    return [f"gave way out of turn: {row}" for row in rows if row.successor_id != successors.get(row.id)]


def test_of_64_sign_ins_at_once_the_newest_3_are_left(urls: list[str], database_url: str) -> None:
    load = creates_at_once(urls, database_url, 64)

    assert Counter(answer.status for answer in load.answers) == {201: 64}
    assert faults_of_creates(load) == []
    assert faults_of_order(load.rows, lambda row: row.id) == []
    assert load.active == sorted(one["id"] for one in load.created)[-LIMIT:]
    assert {row.end_reason for row in load.rows} == {"limit", None}
    assert (load.watch.most, load.watch.looks >= 20) == (LIMIT, True)


def test_of_64_sign_ins_at_once_the_least_recently_active_give_way(database_url: str) -> None:
    with fleet(database_url, SESSION_LIMIT_POLICY="evict_idle") as urls:
        load = creates_at_once(urls, database_url, 64)

    assert Counter(answer.status for answer in load.answers) == {201: 64}
    assert faults_of_creates(load) == []
    assert faults_of_order(load.rows, lambda row: (row.last_activity, row.id)) == []
    assert len(load.active) == LIMIT


def test_of_64_sign_ins_at_once_only_3_are_let_in(database_url: str) -> None:
    with fleet(database_url, SESSION_LIMIT_POLICY="reject") as urls:
        load = creates_at_once(urls, database_url, 64)

    assert Counter((answer.status, answer.code) for answer in load.answers) == {
        (201, None): LIMIT,
        (409, "session_limit_reached"): 64 - LIMIT,
    }
    assert faults_of_creates(load) == []
    assert load.active == [row.id for row in load.rows] == sorted(one["id"] for one in load.created)


def test_one_device_that_signs_in_32_times_at_once_is_one_session(urls: list[str], database_url: str) -> None:
    load = creates_at_once(urls, database_url, 32, same_device=True)

    assert Counter((answer.status, len(answer.body["evicted"])) for answer in load.answers) == {(201, 0): 32}
    assert faults_of_creates(load, most=1) == []
    assert faults_of_order(load.rows, lambda row: row.id, limit=1) == []
    assert {row.end_reason for row in load.rows} == {"replaced", None}
    assert load.watch.most == 1


def test_a_limit_that_is_counted_outside_the_lock_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "surveys outside the lock") as urls:
        evicting = creates_at_once(urls, database_url, 64)
        replacing = creates_at_once(urls, database_url, 32, same_device=True, user_id=USER + 1)
        leaving = creates_and_logouts_at_once(urls, database_url, rounds=2, user_id=USER + 2)

    assert said(faults_of_creates(evicting)) >= {"over the limit"}
    assert said(faults_of_order(evicting.rows, lambda row: row.id)) == {"gave way out of turn"}
    assert said(faults_of_creates(replacing, most=1)) >= {"over the limit"}
    assert said(faults_of_logouts(leaving)) >= {"over the limit"}


def said(faults: Faults) -> set[str]:
    """Return what kinds of faults were found."""
    return {fault.partition(":")[0] for fault in faults}


# The sign-in flood


def flood(urls: Sequence[str], database_url: str) -> tuple[Load, Faults]:
    load = creates_at_once(urls, database_url, 32)
    faults = faults_of_creates(load)
    if max(len(load.created), len(load.rows)) > SIGN_INS_PER_MINUTE:
        faults.append(f"flooded: {len(load.created)} let in, {len(load.rows)} on record")
    return load, faults


def test_of_32_sign_ins_at_once_a_minutes_worth_is_let_in(database_url: str) -> None:
    with fleet(database_url, MAX_SIGN_INS_PER_MINUTE=str(SIGN_INS_PER_MINUTE)) as urls:
        load, faults = flood(urls, database_url)

    assert faults == []
    assert Counter((answer.status, answer.code) for answer in load.answers) == {
        (201, None): SIGN_INS_PER_MINUTE,
        (429, "sign_in_rate_exceeded"): 32 - SIGN_INS_PER_MINUTE,
    }
    assert len(load.rows) == SIGN_INS_PER_MINUTE
    assert {answer.retry_after for answer in load.answers if answer.status == 429} <= {str(s) for s in range(1, 61)}


def test_a_flood_that_is_looked_for_outside_the_lock_would_be_noticed(database_url: str) -> None:
    limit = str(SIGN_INS_PER_MINUTE)
    with faulty(database_url, "surveys outside the lock", MAX_SIGN_INS_PER_MINUTE=limit) as urls:
        _, faults = flood(urls, database_url)

    assert said(faults) >= {"flooded"}


# Signing in, and out everywhere


def creates_and_logouts_at_once(urls: Sequence[str], database_url: str, rounds: int, user_id: int = USER) -> Load:
    """In each round, 8 devices sign in while 4 callers sign everybody out: 2 of them have a session, 2 have none."""
    answers: list[Answer] = []
    with watching(database_url, user_id) as watch:
        for number in range(rounds):
            with callers(urls, 12, user_id) as devices:
                leaving, arriving = devices[:4], devices[4:]
                answers += [device.create(f"leaving {number}.{one}") for one, device in enumerate(leaving[:2])]
                answers += at_once(
                    [partial(device.call, "DELETE", "/sessions/logout-all") for device in leaving]
                    + [partial(device.create, f"{number}.{one}") for one, device in enumerate(arriving)]
                )
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{user_id}'")
    note(f"{Counter((answer.status, answer.code) for answer in answers)}; {watch}")
    note(f"{Counter(row.end_reason for row in rows)} of {len(rows)} rows")
    return Load(answers, rows, watch)


def faults_of_logouts(load: Load) -> Faults:
    """Find what is wrong with the sign-ins, sessions that were closed twice or never, and odd answers."""
    faults = faults_of_creates(load)
    closed = sum(answer.body["closed"] for answer in load.answers if answer.status == 200)
    ended = sum(row.end_reason in {"revoked", "logout"} for row in load.rows)
    if closed != ended:
        faults.append(f"miscounted: {closed} closed by the answers, {ended} on record")
    odd = [answer for answer in load.answers if answer.status >= 400 and answer.code != "session_ended"]
    return faults + [f"refused: {answer}" for answer in odd]


def test_signing_out_everywhere_while_signing_in_keeps_count(urls: list[str], database_url: str) -> None:
    load = creates_and_logouts_at_once(urls, database_url, rounds=12)

    assert faults_of_logouts(load) == []
    assert len(load.created) == len(load.rows) == 12 * 10
    assert {row.end_reason for row in load.rows} >= {"revoked", "logout", "limit"}


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

    token = make_token(user_id, n=next(_tokens))
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
            other = Caller(urls[0], make_token(user_id, n=next(_tokens)), **{"User-Agent": IPHONE})
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


# A token that is seen for the first time, by many at once


def first_sights(urls: Sequence[str], database_url: str, tokens: Sequence[str], **headers: str) -> tuple[Load, int]:
    """Check on *tokens* at once, each from an address of its own; return the load, and how many are remembered."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(
                closing(Caller(urls[number % len(urls)], token, **headers, **{"X-Forwarded-For": f"192.0.2.{number}"}))
            )
            for number, token in enumerate(tokens)
        ]
        records = stack.enter_context(closing(Records(database_url)))
        with watching(database_url) as watch:
            answers = at_once([partial(side.call, "GET", "/sessions/validate") for side in sides])
        (remembered,) = records.run("SELECT count(*) FROM session_tokens")
        load = Load(answers, records.rows(f"user_id = '{USER}'"), watch)
    note(f"{Counter((answer.status, answer.code) for answer in answers)}, {len(load.rows)} rows; {watch}")
    return load, int(remembered[0])


def faults_of_first_sights(load: Load) -> Faults:
    """Find a call that was refused, or that saw another session than the rest."""
    odd = [f"refused: {answer}" for answer in load.answers if answer.status != 200]
    seen = {answer.body.get("session_id") for answer in load.answers if answer.status == 200}
    return odd + ([f"{len(seen)} sessions for one token: {seen}"] if len(seen) != 1 else [])


def refreshed_at_once(urls: Sequence[str], database_url: str) -> tuple[Load, int]:
    with callers(urls, 1) as (device,):
        assert device.create("refreshed").status == 201
    return first_sights(urls, database_url, [make_token(USER, refreshed=next(_tokens))] * 32)


def test_32_first_requests_of_a_refreshed_token_leave_one_trace(urls: list[str], database_url: str) -> None:
    load, remembered = refreshed_at_once(urls, database_url)

    assert faults_of_first_sights(load) == []
    assert (len(load.rows), remembered) == (1, 2)


def test_tokens_that_are_remembered_without_looking_would_be_noticed(database_url: str) -> None:
    with faulty(database_url, "remembers tokens without looking") as urls:
        load, _ = refreshed_at_once(urls, database_url)

    assert said(faults_of_first_sights(load)) >= {"refused"}


ADOPTS = {"UNKNOWN_SESSION_POLICY": "adopt", "TRUSTED_PROXY_HOPS": "1"}


def test_32_first_requests_of_one_token_adopt_one_session(database_url: str) -> None:
    """On a phone: the address of each is another one, and a computer elsewhere would be another device."""
    token = make_token(USER, refreshed=next(_tokens))
    with fleet(database_url, **ADOPTS) as urls:
        load, remembered = first_sights(urls, database_url, [token] * 32, **{"User-Agent": IPHONE})

    assert faults_of_first_sights(load) == []
    assert (len(load.rows), remembered) == (1, 1)


def test_sessions_that_are_adopted_outside_the_lock_would_be_noticed(database_url: str) -> None:
    token = make_token(USER, refreshed=next(_tokens))
    with faulty(database_url, "adopts outside the lock", **ADOPTS) as urls:
        load, _ = first_sights(urls, database_url, [token] * 32, **{"User-Agent": IPHONE})

    assert len(load.rows) > 1


def test_of_32_computers_whose_sessions_are_adopted_at_once_3_are_left(database_url: str) -> None:
    tokens = [make_token(USER, refreshed=next(_tokens)) for _ in range(32)]
    with fleet(database_url, **ADOPTS) as urls:
        load, remembered = first_sights(urls, database_url, tokens)

    assert Counter(answer.status for answer in load.answers) == {200: 32}
    assert faults_of_rows(load.rows) == []
    assert (len(load.rows), len(load.active), load.watch.most, remembered) == (32, LIMIT, LIMIT, 32)


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
            token = make_token(user_id, n=next(_tokens))
            refreshed = [make_token(user_id, refreshed=next(_tokens)) for _ in urls]
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
