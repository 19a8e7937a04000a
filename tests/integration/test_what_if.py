"""`sessions what-if`: what a limit would do, counted without doing it; on both databases."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from session_service.records import LimitPolicy
from session_service.services.what_if import what_if
from tests.harness.commands import command
from tests.harness.people import dump
from tests.harness.purge_rows import DAY, NOON, put
from tests.harness.support import MakeApp, components_of

SYSTEMS = ("Windows 10", "Android", None, "Windows 10")


def put_sessions() -> None:
    """Put four active sessions of one user on record, used in another order than created, and others beside them."""
    used = (3, 1, 4, 2)
    for number, (os, hours) in enumerate(zip(SYSTEMS, used, strict=True)):
        at = NOON + timedelta(hours=hours)
        put(number, user_id="74", os=os, last_activity=at)
    put(10, user_id="73", os="Linux")
    put(11, user_id="75", os="Linux")
    put(12, user_id="75", os="Linux", ended_at=NOON, end_reason="logout", ended_by="75")
    put(13, user_id="75", os="Linux", last_activity=NOON - 8 * DAY, created_at=NOON - 8 * DAY)
    put(14, user_id="75", os="Linux")


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize(
    ("policy", "platforms"),
    [
        ("evict_oldest", {"Windows 10": 1, "Android": 1}),
        ("evict_idle", {"Android": 1, "Windows 10": 1}),
        ("reject", {"unknown": 1, "Windows 10": 1}),
    ],
)
def test_pages_of_any_size_count_the_same(
    make_app: MakeApp, policy: LimitPolicy, platforms: dict[str, int], page: int
) -> None:
    app = make_app()
    with app.app_context():
        put_sessions()
        now = NOON + timedelta(hours=5)
        *_, counted = what_if(components_of(app).settings, limit=2, limit_policy=policy, now=now, page=page)

    assert (counted.users, counted.sessions, counted.users_over, counted.would_end) == (3, 7, 1, 2)
    assert dict(counted.by_platform) == platforms


def test_the_least_recently_used_give_way_under_evict_idle(make_app: MakeApp) -> None:
    app = make_app()
    with app.app_context():
        put_sessions()
        *_, counted = what_if(
            components_of(app).settings, limit=3, limit_policy="evict_idle", now=NOON + timedelta(hours=5)
        )

    assert dict(counted.by_platform) == {"Android": 1}


def test_the_command_prints_a_table_or_json_and_changes_nothing(app: Flask) -> None:
    with app.app_context():
        far_away: dict[str, Any] = {"last_activity": NOON + 3650 * DAY, "expires_at": NOON + 3700 * DAY}
        for number in range(4):
            put(number, user_id="74", os="Linux", **far_away)
    before = dump(app)

    table = command(app, "what-if", "--limit", "3")
    as_json = command(app, "what-if", "--limit", "3", "--policy", "reject", "--json")

    assert (table[0], table[2]) == (0, "")
    assert [line.split()[-1] for line in table[1].splitlines()] == ["1", "4", "1", "1", "1"]
    assert "sessions that would end" in table[1]
    assert json.loads(as_json[1]) == {
        "limit": 3,
        "policy": "reject",
        "users": 1,
        "sessions": 4,
        "users_over": 1,
        "would_end": 1,
        "by_platform": {"Linux": 1},
    }
    assert dump(app) == before
    assert command(app, "what-if", "--limit", "0")[0] != 0
    assert command(app, "what-if")[0] != 0


def test_nobody_has_nothing_to_lose(app: Flask) -> None:
    assert json.loads(command(app, "what-if", "--limit", "1", "--json")[1])["users"] == 0
