"""Ends by criteria at once with each other and with sign-ins: one end each, and the answers add up."""

from contextlib import ExitStack, closing
from functools import partial

from tests.harness.callers import TOKEN_NUMBERS, Answer, Caller, at_once, callers
from tests.harness.records import Records, faults_of_rows
from tests.harness.reports import note
from tests.harness.support import IPHONE, USER, make_token

USERS, ADMINS, SIGN_INS = 60, 4, 3
BODY = {"created_after": "2020-01-01T00:00:00Z", "device_type": "mobile"}


def end_all(admin: Caller) -> list[Answer]:
    """Repeat the call until nothing remains, and look again where more have come."""
    answers, expected = [], 1
    while expected:
        answer = admin.call("POST", "/sessions/end", json={**BODY, "expected": expected})
        assert (answer.status, answer.code) in {(200, None), (409, "count_changed")}, answer
        expected = answer.body["remaining" if answer.status == 200 else "count"]
        answers.append(answer)
    return answers


def sign_in(phone: Caller) -> list[Answer]:
    """Sign in some times, each time on what looks like another device."""
    return [phone.create(f"device {number}") for number in range(SIGN_INS)]


def test_admins_who_end_the_same_beside_sign_ins_end_each_session_once(urls: list[str], database_url: str) -> None:
    with ExitStack() as stack:
        records = stack.enter_context(closing(Records(database_url)))
        admins = stack.enter_context(callers(urls, ADMINS, 1, role="admin"))
        phones = []
        for user_id in range(USER, USER + USERS):
            token = make_token(user_id, n=next(TOKEN_NUMBERS))
            url = urls[user_id % len(urls)]
            phones.append(stack.enter_context(closing(Caller(url, token, **{"User-Agent": IPHONE}))))
            assert phones[-1].create("first").status == 201
        calls = [partial(end_all, admin) for admin in admins]
        answers = at_once([*calls, *(partial(sign_in, phone) for phone in phones[:8])])[:ADMINS]
        left = end_all(admins[0])
        rows = records.rows()
        events = "SELECT count(*), count(DISTINCT session_id) FROM session_events WHERE what = 'ended'"
        ((number, sessions),) = records.run(events)

    told = sum(one.body["ended"] for some in [*answers, left] for one in some if one.status == 200)
    by_admins = [row for row in rows if row.end_reason == "admin"]
    note(f"{len(rows)} sessions, {len(by_admins)} ended by {ADMINS} admins at once in {sum(map(len, answers))} calls")
    assert faults_of_rows(rows) == []
    assert [row for row in rows if row.ended_at is None] == []
    assert told == len(by_admins) >= USERS
    assert number == sessions == len(rows)
