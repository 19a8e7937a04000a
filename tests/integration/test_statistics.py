"""`GET /sessions/statistics`: every change is counted once, in its own period, and nobody is named."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from session_service.database.transaction import transaction
from session_service.database.webhook_queries import add_endpoint
from tests.harness.devices import OFFICE, device
from tests.harness.support import EDGE, FIREFOX, IPHONE, MakeApp, SignedIn, SignIn, body, make_token, sign_in_with
from tests.integration.test_statement_counts import statements, verbs

HOUR = timedelta(hours=1)
PATH = "/sessions/statistics"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Stop the clock in the middle of an hour."""
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        yield clock


@pytest.fixture
def admin(client: FlaskClient) -> SignedIn:
    """Return an admin who has no session."""
    return device(client, make_token(1, role="admin"))


def asked(by: SignedIn, query: str = "") -> dict[str, Any]:
    response = by.get(f"{PATH}{query}")
    assert response.status_code == 200, response.json
    answer: dict[str, Any] = body(response)
    return answer


def counted(period: dict[str, Any]) -> dict[str, int]:
    """Return the numbers of a period that are not zero."""
    numbers = {**period["created"], **period["ended"], "active": period["active"]}
    return {name: number for name, number in numbers.items() if number}


def test_each_change_is_counted_in_its_hour(clock: time_machine.Traveller, sign_in: SignIn, admin: SignedIn) -> None:
    laptop = sign_in(user_id=74)
    sign_in(user_id=74, user_agent=EDGE)
    clock.shift(HOUR)
    phone = sign_in(user_id=74, user_agent=IPHONE)
    sign_in(user_id=74, user_agent=FIREFOX)  # over the limit: the laptop's session ends
    sign_in(user_id=74, user_agent=FIREFOX)  # the same device again
    phone.call("DELETE", "/sessions/logout")
    clock.shift(HOUR)
    sign_in(user_id=75)

    answer = asked(admin, "?last=4")

    assert laptop.id
    assert [period["since"] for period in answer["periods"]] == [
        f"2026-02-08T{hour:02}:00:00Z" for hour in range(9, 13)
    ]
    assert [counted(period) for period in answer["periods"]] == [
        {},
        {"sign_in": 2, "active": 2},
        {"sign_in": 3, "limit": 1, "replaced": 1, "logout": 1, "active": 2},
        {"sign_in": 1, "active": 3},
    ]
    assert (answer["by"], answer["since"], answer["until"]) == ("hour", "2026-02-08T09:00:00Z", "2026-02-08T12:30:00Z")
    assert answer["events_since"] == "2026-02-08T10:30:00Z"
    assert answer["feed_behind_seconds"] == 0.0


def test_days_begin_at_midnight_in_utc(clock: time_machine.Traveller, sign_in: SignIn, admin: SignedIn) -> None:
    sign_in()
    clock.move_to("2026-02-08T23:59:59.900000Z")
    sign_in(user_agent=EDGE)
    clock.move_to("2026-02-09T00:00:00Z")
    sign_in(user_agent=IPHONE).call("DELETE", "/sessions/logout")

    answer = asked(admin, "?by=day&last=2")

    assert [period["since"] for period in answer["periods"]] == ["2026-02-08T00:00:00Z", "2026-02-09T00:00:00Z"]
    assert [counted(period) for period in answer["periods"]] == [
        {"sign_in": 2, "active": 2},
        {"sign_in": 1, "logout": 1, "active": 2},
    ]


@pytest.mark.parametrize("is_recorded", [False, True], ids=["not recorded", "recorded"])
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"SESSION_IDLE_SECONDS": 7200}, "idle"),
        ({"SESSION_IDLE_SECONDS": 0, "SESSION_LIFETIME_SECONDS": 7200}, "expired"),
        ({"SESSION_IDLE_SECONDS": 7200, "SESSION_LIFETIME_SECONDS": 7200}, "expired"),
    ],
    ids=["idle", "expired", "both at once"],
)
def test_a_time_limit_counts_when_it_passes_whether_or_not_the_purge_has_run(
    clock: time_machine.Traveller, make_app: MakeApp, limits: dict[str, int], reason: str, is_recorded: bool
) -> None:
    app = make_app(**limits)
    client = app.test_client()
    sign_in_with(client)()
    admin = device(client, make_token(1, role="admin"))
    clock.shift(2 * HOUR - timedelta(seconds=1))
    before = asked(admin, "?last=3")
    clock.shift(timedelta(seconds=1))
    at_once = asked(admin, "?last=3")
    clock.shift(HOUR)
    if is_recorded:
        assert app.test_cli_runner().invoke(args=["sessions", "purge"]).exit_code == 0

    later = asked(admin, "?last=4")

    assert [counted(period) for period in before["periods"]] == [
        {"sign_in": 1, "active": 1},
        {"active": 1},
        {"active": 1},
    ]
    assert [counted(period) for period in at_once["periods"]][2] == {reason: 1}
    assert [counted(period) for period in later["periods"]] == [
        {"sign_in": 1, "active": 1},
        {"active": 1},
        {reason: 1},
        {},
    ]


def test_what_happened_before_the_first_period_counts_only_as_active(
    clock: time_machine.Traveller, sign_in: SignIn, admin: SignedIn
) -> None:
    sign_in()
    sign_in(user_id=75).call("DELETE", "/sessions/logout")
    clock.shift(26 * HOUR)

    answer = asked(admin)

    assert len(answer["periods"]) == 24
    assert {period["active"] for period in answer["periods"]} == {1}
    assert all(counted(period) == {"active": 1} for period in answer["periods"])


def test_sessions_that_ran_out_before_the_first_period_are_nowhere(
    clock: time_machine.Traveller, sign_in: SignIn, admin: SignedIn
) -> None:
    sign_in()
    clock.shift(timedelta(days=20))

    assert [counted(period) for period in asked(admin, "?last=2")["periods"]] == [{}, {}]


def test_without_any_session_everything_is_zero(admin: SignedIn) -> None:
    answer = asked(admin)

    assert answer["events_since"] is None
    assert [counted(period) for period in answer["periods"]] == [{}] * 24


def test_ends_by_an_admin_and_adopted_sessions_have_their_own_numbers(
    clock: time_machine.Traveller, make_app: MakeApp
) -> None:
    client = make_app(UNKNOWN_SESSION_POLICY="adopt").test_client()
    admin = device(client, make_token(1, role="admin"), address=OFFICE)
    device(client, make_token(74)).get("/sessions/my-sessions")
    admin.call("DELETE", "/sessions/user/74")

    assert counted(asked(admin, "?last=1")["periods"][0]) == {"adopted": 1, "admin": 1}


@pytest.mark.parametrize(
    "query",
    [
        "by=week",
        "by=",
        "last=0",
        "last=169",
        "by=day&last=169",
        "last=1.5",
        "last=x",
        "last=1&last=2",
        "last=" + "9" * 30,
    ],
)
def test_anything_else_is_refused(admin: SignedIn, query: str) -> None:
    response = admin.get(f"{PATH}?{query}")

    assert (response.status_code, response.json["code"]) == (422, "validation_failed")


@pytest.mark.parametrize("query", ["by=hour&last=168", "by=day&last=168", "by=day", ""])
def test_the_longest_questions_are_answered(admin: SignedIn, query: str) -> None:
    assert len(asked(admin, f"?{query}")["periods"]) in {168, 7, 24}


def test_it_is_one_statement_and_the_feeds_however_long_the_period(app: Flask, admin: SignedIn) -> None:
    asked(admin)

    for query in ("?last=1", "?by=day&last=168"):
        with statements(app) as seen:
            asked(admin, query)
        of_statistics = [statement for statement in seen if "session_events" in statement]
        assert verbs(of_statistics) == ["SELECT"] * 2
        assert sum("UNION ALL" in statement for statement in of_statistics) == 1


def test_nobody_is_named(sign_in: SignIn, admin: SignedIn) -> None:
    sign_in(user_id=740_074, device_name="A name of a person")

    text = admin.get(PATH).text

    assert "740074" not in text
    assert "A name" not in text


def test_endpoints_of_webhooks_are_behind_by_their_oldest_unsent_event(
    app: Flask, clock: time_machine.Traveller, sign_in: SignIn, admin: SignedIn
) -> None:
    assert asked(admin)["webhooks"] == []
    sign_in()
    with app.app_context(), transaction(writes=True):
        add_endpoint("mail", (0, 0))
    before = asked(admin)["webhooks"][0]["behind_seconds"]
    clock.shift(timedelta(seconds=90))

    (mail,) = asked(admin)["webhooks"]

    assert (mail["endpoint"], mail["parked"], mail["behind_seconds"] - before) == ("mail", 0, 90.0)
