"""The use cases, with instants of the test's own, on both databases."""

import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from flask import Flask
from sqlalchemy.exc import StatementError

from session_service import deadline
from session_service.auth_server.user_directory import UserDirectory
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import CurrentSessionUnknown, NoCurrentSession, SessionNotFound
from session_service.records import Because, Client, End, EndReason, Principal, StoredSession, Token
from session_service.services import current_session
from session_service.services.answers import CreatedSession
from session_service.services.sessions import SessionService
from session_service.services.sign_in import SignIn
from tests.harness.support import CHROME, FIREFOX, IPHONE

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
OWNER = Principal(user_id="74")
WHICH = r"This device \(Chrome on Windows 10\)"
ROOT = Principal(user_id="1", is_admin=True)


def token(key: int = 1, user_id: str = "74", sid: str | None = None) -> Token:
    return Token(user_id, sid, key.to_bytes(32, "big"), 0, NOON + timedelta(days=1), is_admin=False)


def create(
    service: SessionService, key: int = 1, *, now: datetime = NOON, user_agent: str = CHROME, **claimed: Any
) -> CreatedSession:
    client = Client(user_agent, "203.0.113.7")
    return SignIn(service.settings).create_session(claimed, by=OWNER, token=token(key), client=client, now=now)


def with_settings(service: SessionService, **values: Any) -> SessionService:
    """Return the same use cases by other settings."""
    changed = replace(service.settings, **values)
    return SessionService(changed, UserDirectory(changed))


def row_of(session_id: int) -> StoredSession:
    found = session_queries.get(session_id)
    assert found is not None
    return found


def row(session_id: int) -> StoredSession:
    with transaction():
        return row_of(session_id)


def test_a_sign_in_is_on_record_with_all_its_times(service: SessionService) -> None:
    created = create(service, device_fingerprint="f")

    on_record = row(created["id"])
    assert (on_record.created_at, on_record.last_activity) == (NOON, NOON)
    assert on_record.expires_at == NOON + timedelta(days=30)
    assert (on_record.user_id, on_record.device_fingerprint, on_record.network) == ("74", "f", "203.0.113.7/32")
    assert on_record.created_at.tzinfo is UTC


def test_a_token_is_remembered_for_its_session_and_forgotten_by_nobody_else(service: SessionService) -> None:
    created = create(service)

    with transaction():
        assert [one.id for one in session_queries.list_by_token(token())] == [created["id"]]
        assert session_queries.list_by_token(token(2)) == []
        assert session_queries.list_by_token(token(1, user_id="75")) == []


def test_remembering_a_token_twice_changes_nothing(service: SessionService) -> None:
    created = create(service)

    with transaction(writes=True):
        session_queries.remember_token(token(), created["id"], now=NOON, idle=None)

    with transaction():
        assert len(session_queries.list_by_token(token())) == 1


@pytest.mark.parametrize("after", [timedelta(days=30) - TICK, timedelta(days=30)])
def test_every_write_to_a_live_session_looks_at_its_lifetime(service: SessionService, after: timedelta) -> None:
    service_without_idle = with_settings(service, SESSION_IDLE_SECONDS=0)
    created = create(service_without_idle)
    is_active = after < timedelta(days=30)

    closed = service_without_idle.delete_user_sessions("74", by=ROOT, now=NOON + after)

    assert closed == is_active
    assert (row(created["id"]).end_reason == "admin") is is_active


@pytest.mark.parametrize("after", [timedelta(hours=1) - TICK, timedelta(hours=1)])
def test_every_write_to_a_live_session_looks_at_its_idle_timeout(service: SessionService, after: timedelta) -> None:
    hourly = with_settings(service, SESSION_IDLE_SECONDS=3600)
    created = create(hourly)
    is_active = after < timedelta(hours=1)

    with transaction(writes=True):
        moved = session_queries.mark_activity(
            created["id"], now=NOON + after, idle=timedelta(hours=1), interval=timedelta(0)
        )

    assert moved is is_active
    assert row(created["id"]).last_activity == (NOON + after if is_active else NOON)
    assert hourly.get_session_count("74", now=NOON + after) == is_active


def test_activity_never_goes_backwards(service: SessionService) -> None:
    created = create(service)

    service.update_session_activity(row(created["id"]), by=OWNER, token=token(), now=NOON - timedelta(seconds=1))

    assert row(created["id"]).last_activity == NOON


def test_an_ended_session_is_not_touched_and_not_ended_again(service: SessionService) -> None:
    created = create(service)
    service.delete_session(created["id"], by=ROOT, now=NOON + TICK)
    ended = row(created["id"])

    service.delete_session(created["id"], by=OWNER, now=NOON + 2 * TICK, current_id=created["id"])
    with transaction(writes=True):
        moved = session_queries.mark_activity(created["id"], now=NOON + 2 * TICK, idle=None, interval=timedelta(0))

    assert not moved
    assert row(created["id"]) == ended
    assert (ended.end_reason, ended.ended_by, ended.ended_at) == ("admin", "1", NOON + TICK)


def test_only_owners_and_admins_find_a_session(service: SessionService) -> None:
    created = create(service)

    stranger = Principal(user_id="75")
    with pytest.raises(SessionNotFound):
        service.get_session(created["id"], by=stranger, now=NOON)
    with pytest.raises(SessionNotFound):
        service.delete_session(created["id"], by=stranger, now=NOON)
    assert service.get_session(created["id"], by=ROOT, now=NOON)["is_active"]


def test_lists_are_ordered_by_activity_and_capped(service: SessionService) -> None:
    roomy = with_settings(service, MAX_SESSIONS_PER_USER=1_000)
    ids = [create(roomy, key, now=NOON + key * TICK, device_fingerprint=str(key))["id"] for key in range(1, 106)]
    for session_id in ids[:103]:
        roomy.delete_session(session_id, by=OWNER, now=NOON + timedelta(seconds=1))

    listed = roomy.get_user_sessions("74", by=OWNER, now=NOON + timedelta(seconds=1), include_inactive=True)

    assert [one["id"] for one in listed] == [*reversed(ids)][:102]
    assert [one["is_active"] for one in listed] == [True] * 2 + [False] * 100


def test_lowering_the_limit_converges_at_the_next_sign_in(service: SessionService) -> None:
    ids = [create(service, key, user_agent=agent)["id"] for key, agent in enumerate((CHROME, FIREFOX, IPHONE))]
    strict = with_settings(service, MAX_SESSIONS_PER_USER=1)

    created = create(strict, 9, user_agent=CHROME, device_fingerprint="another", now=NOON + TICK)

    assert [one["id"] for one in created["evicted"]] == ids
    assert strict.get_session_count("74", now=NOON + TICK) == 1


def test_nothing_happens_where_the_current_session_cannot_be_told(service: SessionService) -> None:
    created = create(service)

    with pytest.raises(NoCurrentSession):
        service.logout(None, by=OWNER, now=NOON)
    with pytest.raises(NoCurrentSession):
        service.update_session_activity(None, by=OWNER, token=token(), now=NOON)
    with pytest.raises(CurrentSessionUnknown):
        service.delete_other_sessions("74", by=OWNER, now=NOON, current_id=None)
    assert row(created["id"]).ended_at is None


def test_a_use_case_that_fails_in_the_middle_leaves_nothing(service: SessionService) -> None:
    first = create(service)
    unstorable = replace(token(2), expires_at=datetime(2027, 1, 1))  # noqa: DTZ001 - the fault, met by the last statement

    with pytest.raises((StatementError, ValueError), match="naive datetime"):
        SignIn(service.settings).create_session(
            {}, by=OWNER, token=unstorable, client=Client(CHROME, "203.0.113.7"), now=NOON + TICK
        )

    assert row(first["id"]).ended_at is None
    assert [one["id"] for one in service.get_user_sessions("74", by=OWNER, now=NOON + TICK)] == [first["id"]]


def test_nothing_is_created_or_ended_before_what_was_there_already(service: SessionService) -> None:
    first = create(service, 1, now=NOON + timedelta(seconds=2), device_fingerprint="a")
    second = create(service, 2, now=NOON, device_fingerprint="b")
    strict = with_settings(service, MAX_SESSIONS_PER_USER=1)
    create(strict, 3, now=NOON - timedelta(seconds=2), device_fingerprint="c")
    late = create(service, 4, now=NOON, device_fingerprint="d")
    service.delete_user_sessions("74", by=ROOT, now=NOON)

    rows = [row(one["id"]) for one in (first, second, late)]
    assert [one.created_at for one in rows] == [NOON + timedelta(seconds=2)] * 3
    assert all(one.ended_at and one.ended_at >= one.last_activity for one in rows)


def test_a_caller_who_only_reads_is_answered_while_somebody_else_holds_the_lock(
    app: Flask, service: SessionService
) -> None:
    created = create(service)
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        with app.app_context(), transaction(writes=True):
            session_queries.mark_activity(created["id"], now=NOON + TICK, idle=None, interval=timedelta(0))
            held.set()
            released.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(30)
        seen = current_session.current_session(
            token(), Client(CHROME, "203.0.113.7"), service.settings, now=NOON + timedelta(hours=1)
        )
    finally:
        released.set()
        holder.join()
    assert seen
    assert seen.last_activity == NOON


def test_no_late_touch_brings_back_a_session_that_ran_out_and_gave_its_place_away(service: SessionService) -> None:
    strict = with_settings(service, MAX_SESSIONS_PER_USER=1, SESSION_IDLE_SECONDS=100)
    first = create(strict, 1, device_fingerprint="a")
    create(strict, 2, now=NOON + timedelta(seconds=101), device_fingerprint="b")

    with transaction(writes=True):
        moved = session_queries.mark_activity(
            first["id"], now=NOON + timedelta(seconds=99), idle=strict.settings.idle, interval=timedelta(0)
        )

    assert not moved
    assert (row(first["id"]).end_reason, row(first["id"]).ended_at) == ("idle", NOON + timedelta(seconds=100))
    assert strict.get_session_count("74", now=NOON + timedelta(seconds=102)) == 1


def test_a_clock_that_is_far_ahead_is_not_followed(service: SessionService) -> None:
    flooded = with_settings(service, MAX_SIGN_INS_PER_MINUTE=2, SESSION_IDLE_SECONDS=3_600)
    for key, ahead in enumerate((timedelta(0), timedelta(hours=2), timedelta(minutes=2), timedelta(minutes=4))):
        create(flooded, key, now=NOON + ahead, device_fingerprint=str(key))
    last = create(flooded, 9, now=NOON + timedelta(minutes=6), device_fingerprint="last")

    assert row(last["id"]).created_at == NOON + timedelta(minutes=6)
    assert flooded.get_session_count("74", now=NOON + timedelta(minutes=6)) == 3


@pytest.mark.parametrize("reason", get_args(EndReason))
def test_each_end_reason_has_words_for_the_person_whose_device_it_is(
    service: SessionService, reason: EndReason
) -> None:
    created = create(service)
    with transaction(writes=True):
        assert session_queries.mark_ended(created["id"], End(reason, "74", NOON + TICK), None)

    with transaction():
        ended = session_queries.get(created["id"])
        assert ended
        error = current_session.ended_error(ended, service.settings, NOON + TICK, allowed=3)

    assert re.fullmatch(rf"{WHICH} was signed out because \w.*\. That was on 8 February 2026 at 12:00 UTC.", str(error))
    assert error.members == {
        "end_reason": reason,
        "ended_at": "2026-02-08T12:00:00.000001Z",
        "device_name": "Chrome on Windows 10",
    }


@pytest.mark.parametrize("because", get_args(Because))
def test_each_cause_has_words_that_are_read_instead_of_an_administrator(
    service: SessionService, because: Because
) -> None:
    created = create(service)
    closed = service.delete_user_sessions("74", by=Principal(service="backend"), now=NOON + TICK, because=because)

    with transaction():
        error = current_session.ended_error(row_of(created["id"]), service.settings, NOON + TICK, allowed=3)

    assert closed == 1
    assert "an administrator" not in str(error)
    assert (error.members["end_reason"], error.members["because"]) == ("admin", because)


def test_a_user_who_ends_sessions_gives_no_cause(service: SessionService) -> None:
    created = create(service)
    service.delete_user_sessions("74", by=OWNER, now=NOON + TICK, because="security")

    assert (row(created["id"]).end_reason, row(created["id"]).because) == ("revoked", None)


def test_a_transaction_has_a_deadline_without_a_request_and_keeps_the_requests_own(service: SessionService) -> None:
    with transaction():
        of_command = deadline.seconds_left()
    with transaction(takes_long=True):
        of_long_one = deadline.seconds_left()
    with deadline.at_most(1.5), transaction(takes_long=True):
        of_request = deadline.seconds_left()

    assert of_command
    assert of_long_one
    assert of_request
    assert 0 < of_request <= 1.5 < of_command <= 60 < of_long_one <= 1_800
    assert deadline.seconds_left() is None
