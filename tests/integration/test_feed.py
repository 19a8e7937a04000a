"""Events and the feed: what services learn of sessions that begin and end; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
import time_machine
from flask import Flask

from session_service.clock import utcnow
from session_service.services import everywhere, feed
from session_service.services.personal_data import erase
from session_service.services.purge import purge
from tests.harness.devices import OFFICE
from tests.harness.feed import BACKEND, CREDENTIALS, Reader
from tests.harness.processes import wait_until
from tests.harness.support import FIREFOX, IPHONE, MakeApp, components_of, sign_in_with

DAY = timedelta(days=1)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(
        SERVICE_CREDENTIALS=CREDENTIALS, MAX_SESSIONS_PER_USER=2, FEED_LEASE_SECONDS=0, EVENT_RETENTION_DAYS=400
    )


@pytest.fixture
def reader(app: Flask) -> Reader:
    return Reader(app.test_client())


def purge_at(app: Flask, now: Any) -> None:
    with app.app_context():
        *_, _done = purge(components_of(app).settings, now=now, batch=10)


def test_every_change_is_told_once_and_in_order(app: Flask, reader: Reader) -> None:
    sign_in = sign_in_with(app.test_client())
    first, again = sign_in(), sign_in()
    phone, tablet = sign_in(user_agent=IPHONE), sign_in(user_agent=FIREFOX)
    phone.delete(f"/sessions/session/{tablet.id}")
    phone.delete(f"/sessions/session/{tablet.id}")
    phone.delete("/sessions/logout")
    sign_in(75)
    sign_in(1, role="admin").delete("/sessions/user/75")

    told = reader.events()

    assert told[:8] == [
        ("session.created", first.id, "sign_in"),
        ("session.created", again.id, "sign_in"),
        ("session.ended", first.id, "replaced"),
        ("session.created", phone.id, "sign_in"),
        ("session.created", tablet.id, "sign_in"),
        ("session.ended", again.id, "limit"),
        ("session.ended", tablet.id, "revoked"),
        ("session.ended", phone.id, "logout"),
    ]
    assert [(kind, reason) for kind, _, reason in told[8:]] == [
        ("session.created", "sign_in"),
        ("session.created", "sign_in"),
        ("session.ended", "admin"),
    ]
    assert reader.events() == []


def test_an_event_says_who_what_when_and_whether_the_device_is_new(app: Flask, reader: Reader) -> None:
    sign_in = sign_in_with(app.test_client())
    laptop = sign_in()
    other_place = sign_in(address=OFFICE)
    laptop.delete(f"/sessions/session/{other_place.id}")

    created, again, ended = reader.new()

    assert created == {
        "id": created["id"],
        "type": "session.created",
        "timestamp": laptop.session["created_at"],
        "data": {
            "session_id": laptop.id,
            "user_id": 74,
            "reason": "sign_in",
            "actor": "user",
            "successor_id": None,
            "because": None,
            "device_name": "Chrome on Windows 10",
            "new_device": True,
        },
    }
    assert again["data"]["new_device"] is False
    assert ended["data"].keys() == created["data"].keys() - {"new_device"}
    assert created["id"] < again["id"] < ended["id"]


@pytest.mark.parametrize(
    ("end", "actor", "because"),
    [
        (lambda device, client: device.delete("/sessions/logout-all"), "user", None),
        (lambda device, client: client.delete("/sessions/user/74", headers=BACKEND), "service:backend", None),
        (
            lambda device, client: client.delete("/sessions/user/74?because=device_lost", headers=BACKEND),
            "service:backend",
            "device_lost",
        ),
        (lambda device, client: sign_in_with(client)(1, role="admin").delete("/sessions/user/74"), "admin", None),
        (lambda device, client: [sign_in_with(client)(user_agent=one) for one in (IPHONE, FIREFOX)], "policy", None),
    ],
    ids=["user", "service", "service with a cause", "admin", "limit"],
)
def test_an_end_says_what_kind_of_caller_caused_it(
    app: Flask, reader: Reader, end: Any, actor: str, because: str | None
) -> None:
    client = app.test_client()
    device = sign_in_with(client)()

    end(device, client)

    (ended,) = (one for one in reader.new() if one["type"] == "session.ended")
    assert (ended["data"]["session_id"], ended["data"]["actor"]) == (device.id, actor)
    assert ended["data"]["because"] == because


def test_a_timeout_is_told_by_the_purge_with_the_instant_at_which_it_passed(app: Flask, reader: Reader) -> None:
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False):
        device = sign_in_with(app.test_client())()

    purge_at(app, utcnow())

    _, ended = reader.new()
    assert (ended["data"]["session_id"], ended["data"]["reason"], ended["data"]["actor"]) == (
        device.id,
        "idle",
        "system",
    )
    assert ended["timestamp"] == "2026-02-15T10:30:00Z"


def test_what_was_refused_or_undone_is_not_told(app: Flask, reader: Reader) -> None:
    sign_in = sign_in_with(app.test_client())
    device = sign_in()
    device.delete("/sessions/logout")
    assert device.post("/sessions/create").status_code == 401

    assert [kind for kind, _, _ in reader.events()] == ["session.created", "session.ended"]


def test_more_than_one_page_is_read_page_by_page(app: Flask, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_EVENTS", 3)
    sign_in = sign_in_with(app.test_client())
    ids = [sign_in(user_id).id for user_id in range(100, 107)]

    sign_in(200)  # by then the others can be read, unless a transaction of another test is under way
    Reader(app.test_client()).new()

    pages = [reader.read() for _ in range(2)]

    assert [[one["data"]["session_id"] for one in page["events"]] for page in pages] == [ids[:3], ids[3:6]]
    assert [page["complete"] for page in pages] == [False, False]
    assert next(session_id for _, session_id, _ in reader.events()) == ids[6]


def test_only_services_read_the_feed_and_only_from_positions(app: Flask) -> None:
    client = app.test_client()
    user = sign_in_with(client)(role="admin")

    assert client.get("/sessions/feed").json["code"] == "service_required"
    assert user.get("/sessions/feed").json["code"] == "service_required"
    for bad in ("x", "1", "1-", "-1", "1-2-3", "1" * 19 + "-0", "%00-1", "१-१"):
        refused = client.get(f"/sessions/feed?after={bad}", headers=BACKEND)
        assert (refused.status_code, refused.json["code"]) == (422, "validation_failed"), bad


def test_a_position_older_than_what_is_kept_is_gone(app: Flask, reader: Reader) -> None:
    client = app.test_client()
    early = Reader(client)
    sign_in_with(client)(75)
    reader.read()

    purge_at(app, utcnow() + 401 * DAY)

    gone = client.get(f"/sessions/feed?after={early.position}", headers=BACKEND)
    assert (gone.status_code, gone.json["code"]) == (410, "feed_position_gone")
    assert reader.new()[0]["data"]["reason"] == "idle"  # written by that very purge
    sign_in_with(client)(76)
    assert [kind for kind, _, _ in Reader(client).events()] == []


def test_a_position_of_another_database_is_gone(app: Flask) -> None:
    for position in ("900000000000000000-1", "0-900000000000000000"):
        answer = app.test_client().get(f"/sessions/feed?after={position}", headers=BACKEND)
        is_postgresql = components_of(app).settings.DATABASE_URL.startswith("postgresql")
        if position.startswith("0") == is_postgresql:
            continue  # the id alone says nothing on PostgreSQL, the transaction nothing on SQLite
        assert answer.json["code"] == "feed_position_gone"


def test_an_erasure_leaves_only_ends_that_name_nobody(app: Flask, reader: Reader) -> None:
    sign_in = sign_in_with(app.test_client())
    phone, laptop = sign_in(user_agent=IPHONE), sign_in()
    phone.delete("/sessions/logout")
    with app.app_context():
        erased = erase("74", now=utcnow())

    events = reader.new()

    assert erased.events == 3
    assert [(one["type"], one["data"]["session_id"]) for one in events] == [
        ("session.ended", phone.id),
        ("session.ended", laptop.id),
    ]
    assert {(one["data"]["user_id"], one["data"]["device_name"]) for one in events} == {(None, None)}


def test_a_lease_is_a_number_of_seconds(make_app: MakeApp) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS, FEED_LEASE_SECONDS=0.25).test_client()

    assert client.get("/sessions/feed", headers=BACKEND).json["lease_seconds"] == 0.25


@pytest.mark.parametrize("path", ["logout", "logout-all", "logout-all?exclude_current=true", "session/{id}", "user/74"])
def test_everywhere_is_said_only_if_it_is_asked_for(app: Flask, path: str) -> None:
    device = sign_in_with(app.test_client())(role="admin")
    path = f"/sessions/{path.replace('{id}', str(device.id))}"
    query = "&" if "?" in path else "?"

    asked = device.delete(f"{path}{query}everywhere=true")
    other = sign_in_with(app.test_client())(role="admin")
    not_asked = other.delete(path.replace(str(device.id), str(other.id)))

    assert (asked.status_code, asked.json["everywhere"]) == (200, True)
    assert (not_asked.status_code, "everywhere" in not_asked.json) == (200, False)
    assert other.delete(f"{path}{query}everywhere=perhaps").status_code in {401, 422}


def test_validate_says_when_the_session_ends_without_activity(make_app: MakeApp) -> None:
    with time_machine.travel("2026-02-08T10:30:00Z", tick=False):
        device = sign_in_with(make_app(SESSION_IDLE_SECONDS=3_600).test_client())()
        never = sign_in_with(make_app(SESSION_IDLE_SECONDS=0).test_client())(75)
        assert device.get("/sessions/validate").json["idle_expires_at"] == "2026-02-08T11:30:00Z"
        assert never.get("/sessions/validate").json["idle_expires_at"] is None


def test_everywhere_answers_after_the_lease_and_at_once_where_too_many_wait(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everywhere, "LEASE_WAITERS", 1)
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS, FEED_LEASE_SECONDS=1)
    first, second = (sign_in_with(app.test_client())(user_id) for user_id in (74, 75))
    reader, began = Reader(app.test_client()), monotonic()

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(first.delete, "/sessions/logout?everywhere=true")
        wait_until(lambda: [kind for kind, _, _ in reader.events()] == ["session.ended"], "the event")
        at_once = second.delete("/sessions/logout?everywhere=true")
        is_first = not waiting.done()
        waited = waiting.result()

    assert (at_once.json["everywhere"], is_first) == (False, True)
    assert (waited.json["everywhere"], monotonic() - began > 1) == (True, True)
