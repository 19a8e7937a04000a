"""Criteria of a search: how they are read from texts, which one selects, and what a cursor is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from session_service.records import EndReason, UserIdType
from session_service.rules.criteria import (
    Criteria,
    Cursor,
    Question,
    cursor_of,
    cursor_text,
    first_cursor,
    matches,
    parse_cursor,
)
from session_service.rules.criteria_texts import CriteriaProblem, parse_criteria
from tests.unit.test_policy import NOON, TICK, stored

USER: dict[str, Any] = {"user_id": "74"}
DAY = timedelta(days=1)
WEEK = 7 * DAY


def parsed(*, kind: UserIdType = "integer", masked: bool = False, **given: Any) -> Criteria:
    return parse_criteria(given, kind=kind, masked=masked)


def problems(*, kind: UserIdType = "integer", masked: bool = False, **given: Any) -> dict[str, list[str]]:
    with pytest.raises(CriteriaProblem) as caught:
        parsed(kind=kind, masked=masked, **given)
    return dict(caught.value.errors)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"user_id": "74"}, Criteria(user_id="74")),
        ({"address": "203.0.113.7"}, Criteria(networks=frozenset({"203.0.113.7/32", "203.0.113.0/24"}))),
        ({"address": "::ffff:203.0.113.7"}, Criteria(networks=frozenset({"203.0.113.7/32", "203.0.113.0/24"}))),
        ({"address": "2001:DB8:1:2::5"}, Criteria(networks=frozenset({"2001:db8:1:2::/64", "2001:db8:1::/48"}))),
        ({"network": "203.0.113.7/32"}, Criteria(networks=frozenset({"203.0.113.7/32"}))),
        ({"network": "2001:db8:1:2::/64"}, Criteria(networks=frozenset({"2001:db8:1:2::/64"}))),
        (
            {"network": "203.0.113.7/32", "address": "203.0.113.7"},
            Criteria(networks=frozenset({"203.0.113.7/32"})),
        ),
        ({"network": "203.0.113.7/32", "address": "203.0.113.8"}, Criteria(networks=frozenset())),
        (
            {"created_after": "2026-02-08T12:00:00Z", "created_before": "2026-02-09T00:00:00.5+02:00"},
            Criteria(created_after=NOON, created_before=NOON + timedelta(hours=10, milliseconds=500)),
        ),
        ({"ended_after": "2026-02-08t12:00:00z"}, Criteria(ended_after=NOON)),
        ({**USER, "active": "TRUE"}, Criteria(user_id="74", active=True)),
        ({**USER, "active": "0"}, Criteria(user_id="74", active=False)),
        ({**USER, "device_name": " Chrome "}, Criteria(user_id="74", device_name=" Chrome ")),
        ({**USER, "device_type": "mobile", "os": "iOS"}, Criteria(user_id="74", device_type="mobile", os="iOS")),
        *(({**USER, "reason": reason}, Criteria(user_id="74", reason=reason)) for reason in get_args(EndReason)),
    ],
)
def test_criteria_are_read_from_texts(given: dict[str, Any], wanted: Criteria) -> None:
    assert parsed(**given) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("user_id", "0"),
        ("user_id", "x"),
        ("user_id", ""),
        ("address", "203.0.113"),
        ("address", "203.0.113.0/24"),
        ("address", "fe80::1%eth0"),
        ("network", "203.0.113.7"),
        ("network", "203.0.113.0/24"),
        ("network", "2001:db8::/32"),
        ("network", "2001:db8:1:2::5/64"),
        ("network", "203.0.113.7/\u0663\u0662"),
        ("network", "203.0.113.7/255"),
        ("network", "/32"),
        ("created_after", "2026-02-08"),
        ("created_after", "2026-02-08T12:00:00"),
        ("created_before", "2026-02-30T12:00:00Z"),
        ("ended_after", "0000-01-01T00:00:00Z"),
        ("ended_before", "0001-01-01T00:00:00+23:00"),
        ("ended_before", "1739010600"),
        ("device_name", ""),
        ("device_name", "a\0"),
        ("browser", "x" * 256),
        ("os", "\ud800"),
        ("device_type", "Mobile"),
        ("reason", "bad_mood"),
        ("active", "yes"),
        ("last_activity_after", "2026-02-08T12:00:00Z"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(name: str, text: str) -> None:
    assert list(problems(**{**USER, name: text})) == [name]


def test_all_problems_are_named_at_once_with_words_that_help() -> None:
    found = problems(user_id="x", network="203.0.113.0/24", reason="bad_mood", colour="red")

    assert set(found) == {"user_id", "network", "reason", "colour"}
    assert "/32 for IPv4 and /64 for IPv6" in found["network"][0]
    assert "logout, revoked" in found["reason"][0]
    assert "user_id" in found["colour"][0]


def test_a_network_has_the_size_that_is_stored() -> None:
    assert parsed(masked=True, network="203.0.113.0/24").networks == frozenset({"203.0.113.0/24"})
    assert parsed(masked=True, network="2001:db8:1::/48").networks == frozenset({"2001:db8:1::/48"})
    assert "/24 for IPv4" in problems(masked=True, network="203.0.113.7/32")["network"][0]
    assert problems(masked=True, network="203.0.113.7/24") == {
        "network": ["Has bits beyond its prefix. Did you mean 203.0.113.0/24?"]
    }


def test_user_ids_may_be_texts() -> None:
    assert parsed(kind="string", user_id="auth0|7").user_id == "auth0|7"
    assert list(problems(kind="string", user_id="")) == ["user_id"]


@pytest.mark.parametrize("given", [{}, {"active": "true"}, {"reason": "limit", "os": "iOS", "device_type": "mobile"}])
def test_criteria_that_no_index_serves_are_refused(given: dict[str, Any]) -> None:
    assert "at least one of user_id, address" in problems(**given)["criteria"][0]


def test_the_first_criterion_that_an_index_serves_selects() -> None:
    created: dict[str, Any] = {"created_before": "2026-02-08T12:00:00Z"}
    ended: dict[str, Any] = {"ended_after": "2026-02-08T12:00:00Z"}

    assert parsed(**USER, **created, **ended, address="::1").selection == "user_id"
    assert parsed(**created, **ended, address="::1").selection == "network"
    assert parsed(**created, **ended).selection == "created_at"
    assert parsed(**ended).selection == "ended_at"
    every = parsed(**USER, **created, **ended, address="::1")
    assert every.selections == ["user_id", "network", "created_at", "ended_at"]
    assert replace(every, chosen="created_at").selection == "created_at"


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        (Criteria(user_id="74"), True),
        (Criteria(user_id="75"), False),
        (Criteria(created_after=NOON), True),
        (Criteria(created_after=NOON + TICK), False),
        (Criteria(created_before=NOON), False),
        (Criteria(created_before=NOON + TICK), True),
        (Criteria(networks=frozenset({"203.0.113.7/32"})), True),
        (Criteria(networks=frozenset()), False),
        (Criteria(os="Windows 10", browser="Chrome"), True),
        (Criteria(os="Windows 11"), False),
        (Criteria(device_type="mobile"), False),
        (Criteria(device_name="Chrome"), False),
        (Criteria(ended_after=NOON), False),
        (Criteria(active=True), True),
        (Criteria(active=False), False),
        (Criteria(reason="idle"), False),
    ],
)
def test_a_session_must_have_all_that_is_asked_for(criteria: Criteria, wanted: bool) -> None:
    assert matches(stored(), Question(criteria, NOON, WEEK)) is wanted


@pytest.mark.parametrize(
    ("times", "reason", "ended_at"),
    [
        ({}, "idle", NOON + WEEK),
        ({"expires_at": NOON + WEEK}, "expired", NOON + WEEK),
        ({"expires_at": NOON + DAY}, "expired", NOON + DAY),
        ({"ended_at": NOON + 2 * DAY, "end_reason": "limit"}, "limit", NOON + 2 * DAY),
    ],
)
def test_a_session_that_timed_out_matches_as_ended_whether_that_is_recorded_or_not(
    times: dict[str, Any], reason: EndReason, ended_at: datetime
) -> None:
    session, now = stored(**times), NOON + WEEK

    assert matches(session, Question(Criteria(active=False, reason=reason), now, WEEK))
    assert matches(session, Question(Criteria(ended_after=ended_at, ended_before=ended_at + TICK), now, WEEK))
    assert not matches(session, Question(Criteria(ended_before=ended_at), now, WEEK))
    assert not matches(session, Question(Criteria(active=True), now, WEEK))
    others = set(get_args(EndReason)) - {reason}
    assert not [one for one in others if matches(session, Question(Criteria(reason=one), now, WEEK))]


def test_a_cursor_comes_back_as_it_was() -> None:
    session = stored(7, created_at=NOON + TICK, ended_at=NOON + DAY, end_reason="limit")
    cursors = [cursor_of(session, one) for one in ("user_id", "network", "created_at", "ended_at")]

    assert [one.id for one in cursors] == [7] * 4
    assert [one.at for one in cursors[2:]] == [NOON + TICK, NOON + DAY]
    assert [parse_cursor(cursor_text(one)) for one in cursors] == cursors
    assert cursor_text(cursors[0]) == "0-7"


def test_any_two_numbers_are_a_cursor_and_nothing_else_is() -> None:
    last = parse_cursor("999999999999999999-9999999999999999999")

    assert last == Cursor(datetime.max.replace(tzinfo=UTC), 2**63 - 1)
    for text in ("", "7", "-7", "0-", "a-7", "0-7\n", "0-\u0667", "0--7", "1000000000000000000-7"):
        assert parse_cursor(text) is None


def test_a_search_begins_before_its_upper_bound() -> None:
    assert first_cursor(Criteria(created_before=NOON)) == Cursor(NOON, 0)
    assert first_cursor(Criteria(ended_before=NOON)) == Cursor(NOON, 0)
    assert first_cursor(Criteria(user_id="74", created_before=NOON)).id == 2**63 - 1
    assert first_cursor(Criteria(ended_after=NOON)).at.year == 9999
