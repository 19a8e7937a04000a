"""`GET /sessions/search` on both databases: against a plain filter over random rows, and while rows change."""

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import pytest
from flask import Flask

from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.records import End, Principal, StoredSession
from session_service.rules.criteria import Criteria, parse_cursor
from session_service.services.search import Part, Viewer, search
from tests.harness.purge_rows import DAY, NOON
from tests.harness.rows import insert_row
from tests.harness.support import MakeApp, components_of

SERVICE = Principal(service="backend")
CREDENTIALS = {"backend": "a-secret-of-the-backend"}
IDLE = 7 * DAY
NOW = NOON + 10 * DAY
HOME, OFFICE, MASKED, V6 = "203.0.113.7/32", "198.51.100.9/32", "203.0.113.0/24", "2001:db8:1:2::/64"
REASONS = ("logout", "revoked", "admin", "limit", "replaced", "idle", "expired")
TEXTS = {
    "device_name": ("Chrome on Windows 10", "Safari on iPhone", "chrome on windows 10"),
    "device_type": ("web", "mobile"),
    "browser": ("Chrome", "Safari"),
    "os": ("Windows 10", "iOS", None),
}


def put_random_rows(random: Random, number: int) -> list[StoredSession]:
    """Put sessions on record of which many have the same instants, some of these on a time limit."""
    rows = []
    with transaction(writes=True):
        for _ in range(number):
            created_at = NOON + random.randrange(8) * DAY
            has_ended = random.random() < 0.5
            last_activity = created_at + random.randrange(5) * DAY
            row = insert_row(
                user_id=str(random.randrange(1, 6)),
                device_key="",
                **{name: random.choice(values) for name, values in TEXTS.items()},
                ip_source="observed",
                network=random.choice((HOME, OFFICE, MASKED, V6, None)),
                created_at=created_at,
                last_activity=last_activity,
                expires_at=created_at + random.choice((4, 9, 30)) * DAY,
                ended_at=last_activity + random.randrange(3) * DAY if has_ended else None,
                end_reason=random.choice(REASONS) if has_ended else None,
                ended_by="1" if has_ended else None,
            )
            rows.append(row)
    return rows


def end_of(row: StoredSession) -> tuple[datetime | None, str | None]:
    """Return when and why a session ended as of `NOW`, by the words of the documents."""
    if row.ended_at:
        return row.ended_at, row.end_reason
    idle_at = row.last_activity + IDLE
    if row.expires_at <= NOW and row.expires_at <= idle_at:
        return row.expires_at, "expired"
    return (idle_at, "idle") if idle_at <= NOW else (None, None)


def is_wanted(row: StoredSession, criteria: Criteria) -> bool:
    ended_at, reason = end_of(row)
    if criteria.selection == "ended_at" and row.ended_at is None:
        return False  # documented: only recorded ends
    return not [
        name
        for name, is_met in {
            "user_id": criteria.user_id == row.user_id,
            "networks": row.network in (criteria.networks or ()),
            "reason": criteria.reason == reason,
            "active": criteria.active == (ended_at is None),
            "created_after": criteria.created_after and criteria.created_after <= row.created_at,
            "created_before": criteria.created_before and row.created_at < criteria.created_before,
            "ended_after": ended_at and criteria.ended_after and criteria.ended_after <= ended_at,
            "ended_before": ended_at and criteria.ended_before and ended_at < criteria.ended_before,
            **{name: getattr(criteria, name) == getattr(row, name) for name in TEXTS},
        }.items()
        if getattr(criteria, name) is not None and not is_met
    ]


def random_criteria(random: Random) -> Criteria:
    """Return one to four criteria, of which one selects."""
    choices: dict[str, Any] = {
        "user_id": str(random.randrange(1, 7)),
        "networks": random.choice(
            (frozenset({HOME}), frozenset({HOME, MASKED}), frozenset({V6}), frozenset[str](), frozenset({"::/64"}))
        ),
        "created_after": NOON + random.randrange(9) * DAY,
        "created_before": NOON + random.randrange(9) * DAY,
        "ended_after": NOON + random.randrange(16) * DAY,
        "ended_before": NOON + random.randrange(16) * DAY,
        "reason": random.choice(REASONS),
        "active": random.choice((True, False)),
        **{name: random.choice(values[:2]) for name, values in TEXTS.items()},
    }
    while True:
        criteria = Criteria(**{name: choices[name] for name in random.sample(sorted(choices), random.randrange(1, 5))})
        if criteria.selection is not None:
            return criteria


def pages(app: Flask, criteria: Criteria, limit: int, examined: int) -> Iterator[list[int]]:
    """Yield the ids of each page."""
    after = None
    while True:
        part = Part(after=after, limit=limit, examined=examined)
        page = search(criteria, components_of(app).settings, Viewer(by=SERVICE, now=NOW), part)
        assert len(page["sessions"]) <= limit
        yield [one["id"] for one in page["sessions"]]
        if page["next"] is None:
            return
        after = parse_cursor(page["next"])
        assert after is not None


def in_order(rows: list[StoredSession], criteria: Criteria) -> list[int]:
    """Return the ids of sessions in the documented order."""
    by = {"created_at": "created_at", "ended_at": "ended_at"}.get(criteria.selection or "", "id")
    return [row.id for row in sorted(rows, key=lambda row: (getattr(row, by), row.id), reverse=True)]


@pytest.mark.parametrize("seed", range(2))
def test_every_search_finds_what_a_plain_filter_finds_in_order_once(make_app: MakeApp, seed: int) -> None:
    random, app = Random(seed), make_app(SERVICE_CREDENTIALS=CREDENTIALS)
    selected = set()
    with app.app_context():
        rows = put_random_rows(random, 150)
        for _ in range(60):
            criteria, limit = random_criteria(random), random.randrange(1, 9)
            examined = random.choice((2, 5, 40, 5_000))
            found = [one for page in pages(app, criteria, limit, examined) for one in page]

            assert found == in_order([row for row in rows if is_wanted(row, criteria)], criteria), criteria
            selected.add((criteria.selection, bool(found)))

    assert {one for one, is_found in selected if is_found} == {"user_id", "network", "created_at", "ended_at"}


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(user_id="3", reason="limit"),
        Criteria(networks=frozenset({HOME, MASKED})),
        Criteria(created_after=NOON + DAY, active=False),
        Criteria(ended_after=NOON + DAY),
        Criteria(created_before=NOON + 6 * DAY, browser="Chrome"),
    ],
    ids=lambda criteria: f"{criteria.selection}",
)
def test_what_matches_all_along_is_on_one_page_whatever_changes_meanwhile(app: Flask, criteria: Criteria) -> None:
    random = Random(74)
    with app.app_context():
        before = put_random_rows(random, 120)
        steady = [row for row in before if is_wanted(row, criteria)]
        active = [row for row in before if end_of(row)[0] is None]
        shown: list[int] = []
        for number, page in enumerate(pages(app, criteria, 3, 7)):
            shown += page
            put_random_rows(random, 2) if number < 60 else None
            if active:
                with transaction(writes=True):
                    ended = active.pop()
                    assert session_queries.mark_ended(ended.id, End("admin", "1", NOW), IDLE)
                if is_wanted(ended, criteria) and ended in steady:
                    steady.remove(ended)

    assert len(shown) == len(set(shown))
    assert {row.id for row in steady} <= set(shown)
    assert [one for one in shown if one in {row.id for row in steady}] == in_order(steady, criteria)


def test_a_page_is_examined_in_part_and_says_how_to_go_on(app: Flask) -> None:
    with app.app_context():
        put_random_rows(Random(1), 30)
        criteria = Criteria(created_after=NOON, device_name="nobody's")
        found = list(pages(app, criteria, 100, 10))

    assert found == [[], [], [], []]
