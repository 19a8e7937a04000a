"""The rules, with plain values: no app, no database, no clock. Both sides of each boundary."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from session_service.records import (
    EndReason,
    LimitPolicy,
    ObservedDevice,
    SignInLimits,
    SignInPlan,
    SignInRefusal,
    SignInState,
    StoredSession,
)
from session_service.rules import policy

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
LAPTOP = ObservedDevice(
    device_fingerprint="f", device_key="Chrome|Windows|", network="203.0.113.7/32", is_recognised=True
)


def stored(session_id: int = 1, **values: Any) -> StoredSession:
    """Return a session opened at noon for 30 days, on `LAPTOP` unless *values* say otherwise."""
    row = {
        "id": session_id,
        "sid": None,
        "user_id": "74",
        "device_fingerprint": LAPTOP.device_fingerprint,
        "device_key": LAPTOP.device_key,
        "device_name": "Chrome on Windows 10",
        "device_type": "web",
        "browser": "Chrome",
        "os": "Windows 10",
        "ip_address": "203.0.113.7",
        "ip_source": "observed",
        "network": LAPTOP.network,
        "created_at": NOON,
        "last_activity": NOON,
        "expires_at": NOON + timedelta(days=30),
        "ended_at": None,
        "end_reason": None,
        "ended_by": None,
        "successor_id": None,
        "because": None,
    }
    return StoredSession(**{**row, **values})


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (NOON, None),
        (NOON + HOUR - TICK, None),
        (NOON + HOUR, (NOON + HOUR, "expired")),
        (NOON + HOUR + TICK, (NOON + HOUR, "expired")),
    ],
)
def test_a_session_expires_at_the_instant_that_its_lifetime_passes(
    now: datetime, end: tuple[datetime, EndReason] | None
) -> None:
    session = stored(expires_at=NOON + HOUR)

    assert policy.end_of(session, now, None) == end
    assert policy.is_active(session, now, None) is (end is None)


@pytest.mark.parametrize(
    ("now", "end"),
    [(NOON + HOUR - TICK, None), (NOON + HOUR, (NOON + HOUR, "idle")), (NOON + 2 * HOUR, (NOON + HOUR, "idle"))],
)
def test_a_session_ends_idle_at_the_instant_that_the_timeout_passes(
    now: datetime, end: tuple[datetime, EndReason] | None
) -> None:
    assert policy.end_of(stored(), now, HOUR) == end


def test_without_an_idle_timeout_only_the_lifetime_ends_a_session() -> None:
    session = stored()

    assert policy.is_active(session, session.expires_at - TICK, None)
    assert policy.idle_expires_at(session, None) is None


@pytest.mark.parametrize(
    ("idle", "reason"), [(HOUR, "idle"), (3 * HOUR, "expired"), (2 * HOUR, "expired")], ids=["idle", "expired", "both"]
)
def test_of_two_limits_that_passed_the_earlier_one_ended_the_session(idle: timedelta, reason: str) -> None:
    session = stored(expires_at=NOON + 2 * HOUR)

    assert policy.end_of(session, NOON + 9 * HOUR, idle) == (NOON + min(idle, 2 * HOUR), reason)


def test_what_ended_it_on_record_stays_however_much_time_passes() -> None:
    session = stored(expires_at=NOON + 2 * HOUR, ended_at=NOON + HOUR, end_reason="revoked")

    assert policy.end_of(session, NOON + 9 * HOUR, HOUR / 2) == (NOON + HOUR, "revoked")


@pytest.mark.parametrize(
    ("now", "interval", "due"),
    [
        (NOON + HOUR - TICK, HOUR, False),
        (NOON + HOUR, HOUR, True),
        (NOON, timedelta(0), False),
        (NOON + TICK, timedelta(0), True),
        (NOON - TICK, timedelta(0), False),
    ],
)
def test_activity_is_due_after_the_interval_and_never_backwards(now: datetime, interval: timedelta, due: bool) -> None:
    assert policy.activity_due(stored(), now, interval) is due


@pytest.mark.parametrize(
    ("session", "newcomer", "same"),
    [
        (stored(), LAPTOP, True),
        (stored(network="198.51.100.1/32"), LAPTOP, False),
        (stored(device_fingerprint="g"), LAPTOP, False),
        (stored(device_fingerprint=None), LAPTOP, False),
        (stored(device_key="Edge|Windows|"), LAPTOP, False),
        (stored(device_fingerprint=None), replace(LAPTOP, device_fingerprint=None), True),
        (stored(device_fingerprint=None), replace(LAPTOP, device_fingerprint=None, is_recognised=False), False),
        (stored(), replace(LAPTOP, is_recognised=False), True),
        (stored(network=None), replace(LAPTOP, network=None), False),
    ],
    ids=[
        "same",
        "other place",
        "other fingerprint",
        "one fingerprint absent",
        "other browser",
        "both fingerprints absent, a browser",
        "both fingerprints absent, an HTTP library",
        "an HTTP library with a fingerprint",
        "no address known",
    ],
)
def test_the_same_device_is_told_by_fingerprint_device_and_place_together(
    session: StoredSession, newcomer: ObservedDevice, same: bool
) -> None:
    assert policy.is_same_device(session, newcomer) is same


OTHER = ObservedDevice(
    device_fingerprint="o", device_key="Firefox|Linux|", network="198.51.100.1/32", is_recognised=True
)


@pytest.mark.parametrize(
    ("count", "limit", "evicted"),
    [(0, 1, []), (1, 2, []), (1, 1, [1]), (2, 3, []), (3, 3, [1]), (5, 3, [1, 2, 3]), (3, 1, [1, 2, 3])],
)
def test_as_many_give_way_as_needed_for_one_newcomer(count: int, limit: int, evicted: list[int]) -> None:
    active = [stored(number) for number in range(1, count + 1)]

    assert [one.id for one in policy.sessions_to_evict(active, OTHER, limit, "evict_oldest")] == evicted


@pytest.mark.parametrize(("limit_policy", "first"), [("evict_oldest", 1), ("evict_idle", 2), ("reject", 1)])
def test_the_policy_says_who_gives_way_first(limit_policy: LimitPolicy, first: int) -> None:
    active = [stored(3, last_activity=NOON + HOUR), stored(1, last_activity=NOON + 2 * HOUR), stored(2)]

    assert [one.id for one in policy.sessions_to_evict(active, OTHER, 3, limit_policy)] == [first]


def test_among_equally_idle_sessions_the_oldest_gives_way() -> None:
    assert [one.id for one in policy.sessions_to_evict([stored(2), stored(1)], OTHER, 2, "evict_idle")] == [1]


def test_a_look_alike_elsewhere_gives_way_before_the_other_devices() -> None:
    active = [stored(1, device_key="Safari|iOS|iPhone"), stored(2, device_fingerprint="g"), stored(3, network="x")]

    assert [one.id for one in policy.sessions_to_evict(active, LAPTOP, 3, "evict_oldest")] == [3]


@pytest.mark.parametrize(
    ("ages", "limit", "wait"),
    [
        ([], 2, 0),
        ([1], 2, 0),
        ([1, 2], 2, 58),
        ([1, 59.5], 2, 1),
        ([1, 60], 2, 0),
        ([1, 2, 60], 3, 0),
        ([0.5, 10, 20, 30], 3, 40),
        ([0, 0, 0], 0, 0),
        ([-3600, 1], 2, 0),
    ],
)
def test_sign_ins_wait_until_the_window_has_room(ages: list[float], limit: int, wait: int) -> None:
    recent = [NOON - timedelta(seconds=age) for age in ages]

    assert policy.sign_in_wait(recent, limit, NOON) == wait


@pytest.mark.parametrize(
    ("newest", "begins"),
    [
        (None, NOON),
        (NOON - HOUR, NOON),
        (NOON + timedelta(seconds=5), NOON + timedelta(seconds=5)),
        (NOON + timedelta(seconds=5) + TICK, NOON),
    ],
)
def test_a_session_begins_after_those_before_it_unless_their_clock_was_wrong(
    newest: datetime | None, begins: datetime
) -> None:
    assert policy.begins_at(NOON, newest) == begins


def ended(session_id: int, reason: EndReason | None, successor_id: int | None = None) -> StoredSession:
    """Return a session that ended for this reason, or that is active."""
    at = NOON if reason else None
    return stored(session_id, ended_at=at, end_reason=reason, successor_id=successor_id)


@pytest.mark.parametrize(
    ("sessions", "may"),
    [
        ([], True),
        ([ended(1, None)], True),
        ([ended(1, "replaced")], True),
        *(([ended(1, reason)], False) for reason in get_args(EndReason) if reason != "replaced"),
        ([ended(2, "limit"), ended(1, None)], True),
        ([ended(2, "logout"), ended(1, None)], True),
        ([ended(2, "replaced"), ended(1, "logout")], True),
        ([ended(2, "logout"), ended(1, "replaced", successor_id=2)], False),
        ([ended(2, "limit"), ended(1, "logout")], False),
        ([ended(2, "limit"), ended(1, "logout")._replace(device_key="Safari|iOS|iPhone")], False),
        ([ended(3, "revoked"), ended(2, "replaced", 3), ended(1, "replaced", 2)], False),
    ],
)
def test_a_token_whose_sessions_have_ended_creates_no_other_unless_the_newest_was_replaced(
    sessions: list[StoredSession], may: bool
) -> None:
    assert policy.may_sign_in_again(sessions, NOON, None) is may


@pytest.mark.parametrize(("past", "may"), [(TICK, True), (timedelta(0), False)])
def test_a_token_whose_session_timed_out_a_moment_ago_creates_no_other(past: timedelta, may: bool) -> None:
    session = stored(expires_at=NOON + HOUR)

    assert policy.may_sign_in_again([session], NOON + HOUR - past, None) is may


LIMITS = SignInLimits(max_sessions=3, policy="evict_oldest", max_per_minute=10, idle=HOUR)


def state(*unended: StoredSession, token_sessions: Sequence[StoredSession] = (), recent: int = 0) -> SignInState:
    return SignInState(OTHER, token_sessions, [NOON] * recent, unended)


def test_a_sign_in_with_nothing_in_its_way_begins_now() -> None:
    assert policy.plan_sign_in(state(), NOON, LIMITS) == SignInPlan(NOON)


def test_a_plan_replaces_the_same_device_and_evicts_the_oldest_of_the_others() -> None:
    same = stored(4, device_fingerprint="o", device_key=OTHER.device_key, network=OTHER.network)
    others = [stored(number) for number in (1, 2, 3)]

    plan = policy.plan_sign_in(state(*others, same), NOON, LIMITS)

    assert plan == SignInPlan(NOON, replaced=[same], evicted=[others[0]])


def test_what_timed_out_does_not_count_and_is_to_be_recorded() -> None:
    old = [stored(number, last_activity=NOON - HOUR) for number in (1, 2)]
    active = [stored(number) for number in (3, 4)]

    plan = policy.plan_sign_in(state(*old, *active), NOON, LIMITS)

    assert plan == SignInPlan(NOON, timed_out=[(one, (NOON, "idle")) for one in old])


@pytest.mark.parametrize(
    ("given", "limits", "refusal"),
    [
        (state(token_sessions=[ended(1, "logout")]), LIMITS, SignInRefusal("session_ended")),
        (state(recent=10), LIMITS, SignInRefusal("sign_in_rate_exceeded", 60)),
        (state(recent=9), LIMITS, None),
        (
            state(stored(1), stored(2), stored(3)),
            replace(LIMITS, policy="reject"),
            SignInRefusal("session_limit_reached"),
        ),
        (state(stored(1), stored(2)), replace(LIMITS, policy="reject"), None),
        (
            state(*map(stored, range(1, 4)), token_sessions=[ended(9, "idle")], recent=10),
            replace(LIMITS, policy="reject"),
            SignInRefusal("session_ended"),
        ),
    ],
    ids=["the token has ended", "too many", "not too many", "the limit", "under the limit", "all of them: the first"],
)
def test_a_plan_with_a_refusal_ends_nothing(
    given: SignInState, limits: SignInLimits, refusal: SignInRefusal | None
) -> None:
    plan = policy.plan_sign_in(given, NOON, limits)

    assert plan.refusal == refusal
    assert (plan.timed_out, plan.replaced, plan.evicted) == ([], [], []) or refusal is None
