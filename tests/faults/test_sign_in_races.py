"""Sign-ins at once, over several processes, on both databases: what must hold at every instant, as seen from outside.

Each load has a detector, which says in words what it found wrong. It must find nothing in the service; and under the
same load it must find a planted fault (`tests/harness/faulty.py`), or finding nothing would mean nothing.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

from tests.harness.callers import at_once, callers
from tests.harness.records import Faults, Records, said, watching
from tests.harness.servers import faulty, fleet
from tests.harness.sign_ins import (
    LIMIT,
    Load,
    creates_and_logouts_at_once,
    creates_at_once,
    faults_of_creates,
    faults_of_logouts,
    faults_of_order,
)
from tests.harness.support import USER

SIGN_INS_PER_MINUTE = 5


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


def test_a_session_that_32_sign_ins_end_at_once_makes_room_for_one(database_url: str) -> None:
    with fleet(database_url, SESSION_LIMIT_POLICY="reject") as urls, callers(urls, LIMIT + 32) as devices:
        first = [device.create(f"first {number}").body["id"] for number, device in enumerate(devices[:LIMIT])]
        with watching(database_url, USER) as watch:
            answers = at_once([partial(device.create_ending, first[0]) for device in devices[LIMIT:]])
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{USER}'")

    assert Counter((answer.status, answer.code) for answer in answers) == {
        (201, None): 1,
        (409, "session_limit_reached"): 31,
    }
    created = next(answer.body["id"] for answer in answers if answer.status == 201)
    assert {row.id: row.end_reason for row in rows} == dict.fromkeys([*first, created]) | {first[0]: "revoked"}
    assert (watch.most, watch.looks > 0) == (LIMIT, True)
    listed = {tuple(one["id"] for one in answer.body["sessions"]) for answer in answers if answer.status == 409}
    assert {len(ids) for ids in listed} == {LIMIT}


def test_of_32_sign_ins_at_once_each_makes_room_by_its_own_plan(database_url: str) -> None:
    plans = {"free": 2, "premium": 4}
    limits = ",".join(f"plan={plan}:{limit}" for plan, limit in plans.items())
    with fleet(database_url, SESSION_LIMITS=limits) as urls, ExitStack() as stack:
        devices = [(plan, one) for plan in plans for one in stack.enter_context(callers(urls, 16, plan=plan))]
        with watching(database_url, USER) as watch:
            answers = at_once([partial(one.create, f"device {number}") for number, (_, one) in enumerate(devices)])
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{USER}'")

    limit_of = {answer.body["id"]: plans[plan] for (plan, _), answer in zip(devices, answers, strict=True)}
    successors: dict[int, int | None] = {}
    for row in rows:
        active = [one for one, successor in successors.items() if successor is None]
        for loser in active[: max(len(active) + 1 - limit_of[row.id], 0)]:
            successors[loser] = row.id
        successors[row.id] = None
    assert len(rows) == 32
    assert {row.id: row.successor_id for row in rows} == successors
    assert (watch.most, watch.looks > 0) == (4, True)


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


def test_signing_out_everywhere_while_signing_in_keeps_count(urls: list[str], database_url: str) -> None:
    load = creates_and_logouts_at_once(urls, database_url, rounds=12)

    assert faults_of_logouts(load) == []
    assert len(load.created) == len(load.rows) == 12 * 10
    assert {row.end_reason for row in load.rows} >= {"revoked", "logout", "limit"}
