"""`SESSION_ENFORCEMENT=observe`: nobody is refused or evicted, and each answer says what `enforce` would have done."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.harness.devices import ids, row
from tests.harness.reports import note
from tests.harness.support import (
    ANDROID,
    CHROME,
    EDGE,
    FIREFOX,
    IPHONE,
    MakeApp,
    SignedIn,
    basic,
    make_token,
    sign_in_with,
)

WOULD_REFUSE, WOULD_EVICT = "X-Session-Would-Refuse", "X-Session-Would-Evict"
REFUSALS = {"session_ended", "session_unknown", "session_limit_reached", "sign_in_rate_exceeded"}
BACKEND = basic("backend", "0123456789abcdef")
CALLS = 500


@dataclass
class World:
    """The same calls to one application, by users of its own."""

    client: FlaskClient
    first_user: int
    tokens: list[tuple[str, str]] = field(default_factory=list)
    """Each with the user agent that it is used by."""
    sessions: list[int | None] = field(default_factory=list)
    """By the number of the token: the session that its first `create` made."""

    def play(self, deed: str, which: int, user: int, agent: str) -> tuple[str | None, int]:
        """Carry a call out; return what was refused or would have been, and how many sessions ended or would have."""
        if deed == "sign in":
            self.tokens.append((make_token(self.first_user + user, jti=str(len(self.tokens))), agent))
            answer = self.call(len(self.tokens) - 1, "POST", "/sessions/create")
            self.sessions.append(answer.json["id"] if answer.status_code == 201 else None)
        elif deed == "introspect":
            answer = self.client.post("/sessions/introspect", headers=BACKEND, data={"token": self.tokens[which][0]})
        else:
            answer = self.call(which, *deed.split())
        return self.verdict(answer, deed)

    def call(self, which: int, method: str, path: str) -> Any:
        token, agent = self.tokens[which]
        headers = {"Authorization": f"Bearer {token}", "User-Agent": agent, "X-Forwarded-For": "203.0.113.7"}
        return self.client.open(path, method=method, headers=headers)

    def verdict(self, answer: Any, deed: str) -> tuple[str | None, int]:
        raise NotImplementedError


class Enforced(World):
    """What happens."""

    def verdict(self, answer: Any, deed: str) -> tuple[str | None, int]:
        if deed == "introspect":
            return ("inactive", 0) if answer.json == {"active": False} else (None, 0)
        code = answer.json.get("code") if isinstance(answer.json, dict) else None
        evicted = answer.json["evicted"] if answer.status_code == 201 else []
        return (code if code in REFUSALS else None), len(evicted)


class Observed(World):
    """What is said."""

    def verdict(self, answer: Any, deed: str) -> tuple[str | None, int]:
        assert answer.status_code < 400 or answer.json["code"] == "no_current_session"
        assert not (deed == "POST /sessions/create" and answer.json["evicted"])
        code = answer.headers.get(WOULD_REFUSE)
        if deed == "introspect":
            return ("inactive" if code else None), 0
        return code, int(answer.headers.get(WOULD_EVICT, 0))


SHARED, OWN = [CHROME, EDGE, FIREFOX, IPHONE], [ANDROID.replace("K", f"SM-A{number}") for number in range(CALLS)]
"""Agents of devices that sign in again, and of devices that never do.

A refused sign-in makes no session, so `enforce` recognises its token by its device, if that has one.
"""

ASKED = ["GET /sessions/validate", "GET /sessions/my-sessions", "introspect", "DELETE /sessions/logout"]
SCENARIOS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "evict oldest": ({}, SHARED, [*ASKED, "POST /sessions/create"]),
    "evict idle": ({"SESSION_LIMIT_POLICY": "evict_idle"}, SHARED, [*ASKED, "POST /sessions/create"]),
    "adopt": ({"UNKNOWN_SESSION_POLICY": "adopt"}, SHARED, [*ASKED, "POST /sessions/create"]),
    "reject": ({"SESSION_LIMIT_POLICY": "reject"}, OWN, ASKED),
    "reject, unknown allowed": ({"SESSION_LIMIT_POLICY": "reject", "UNKNOWN_SESSION_POLICY": "allow"}, OWN, ASKED),
    "rate": ({"MAX_SIGN_INS_PER_MINUTE": 2}, OWN, ASKED),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_said_of_500_calls_is_what_happens_when_it_is_enforced(make_app: MakeApp, name: str) -> None:
    settings, agents, asked = SCENARIOS[name]
    common = {
        "MAX_SESSIONS_PER_USER": 2,
        "SESSION_IDLE_SECONDS": 3_600,
        "SERVICE_CREDENTIALS": {"backend": "0123456789abcdef"},
        **settings,
    }
    happens = Enforced(make_app(**common).test_client(), 1_000)
    is_said = Observed(make_app(**common, SESSION_ENFORCEMENT="observe").test_client(), 2_000)
    random = Random(name)
    seen: Counter[tuple[str | None, bool]] = Counter()

    with time_machine.travel("2026-02-08T10:30:00Z", tick=False) as clock:
        for number in range(CALLS):
            clock.shift(random.choice([0, 1, 5, 20, 20, 300, 1_500]))
            count = len(happens.tokens)
            deed = "sign in" if not count or random.random() < 0.25 else random.choice(asked)
            which, user = max(count - 1 - int(random.expovariate(0.2)), 0), random.randrange(3)
            agent = random.choice(agents) if agents is SHARED else agents[number]
            expected = happens.play(deed, which, user, agent)
            assert is_said.play(deed, which, user, agent) == expected, (number, deed)
            seen[expected[0], bool(expected[1])] += 1

    note(f"{name}: {dict(seen)}")
    assert sum(number for (code, evicts), number in seen.items() if code or evicts) >= CALLS / 10


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(MAX_SESSIONS_PER_USER=1, SESSION_ENFORCEMENT="observe")


@pytest.fixture
def devices(client: FlaskClient) -> tuple[SignedIn, SignedIn]:
    sign_in = sign_in_with(client)
    return sign_in(user_agent=IPHONE), sign_in(user_agent=CHROME)


def test_nobody_is_evicted(app: Flask, devices: tuple[SignedIn, SignedIn]) -> None:
    old, new = devices

    assert new.session["evicted"] == []
    assert row(app, old.id).ended_at is None
    assert ids(new) == [new.id, old.id]
    assert old.get("/sessions/validate").headers[WOULD_REFUSE] == "session_ended"
    assert WOULD_REFUSE not in new.get("/sessions/validate").headers


def test_a_device_that_was_signed_out_goes_on(app: Flask, devices: tuple[SignedIn, SignedIn]) -> None:
    old, new = devices
    assert new.delete(f"/sessions/session/{old.id}").status_code == 200

    answers = [
        old.get("/sessions/validate"),
        old.get("/sessions/my-sessions"),
        old.post("/sessions/update-activity"),
        old.get("/sessions/active-devices-count"),
        old.post("/sessions/create"),
    ]

    assert [(answer.status_code, answer.headers[WOULD_REFUSE]) for answer in answers] == [
        *[(200, "session_ended")] * 4,
        (201, "session_ended"),
    ]
    assert answers[0].json["session_id"] == old.id
    assert row(app, old.id).end_reason == "revoked"


def test_a_limit_by_a_request_is_told_once(
    client: FlaskClient, devices: tuple[SignedIn, SignedIn], caplog: pytest.LogCaptureFixture
) -> None:
    old, _ = devices
    before = client.get("/metrics").text
    caplog.clear()

    with caplog.at_level("INFO", "session_service"):
        old.get("/sessions/validate")

    lines = [vars(record) for record in caplog.records if record.getMessage() == "session_would_refuse"]
    assert [(line["code"], line["user_id"], line["session_id"]) for line in lines] == [("session_ended", "74", old.id)]
    name = 'session_service_would_refuse_total{code="session_ended"}'
    assert _value(client.get("/metrics").text, name) == _value(before, name) + 1
    assert _value(before, "session_service_would_evict_total") >= 1


def _value(exposition: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in exposition.splitlines() if line.startswith(name + " "))


def test_enforce_takes_over_where_it_observed(make_app: MakeApp, devices: tuple[SignedIn, SignedIn]) -> None:
    old, new = devices
    client = make_app(MAX_SESSIONS_PER_USER=1).test_client()

    validated = client.get("/sessions/validate", headers=old.headers)
    third = sign_in_with(client)(user_agent=FIREFOX)

    assert validated.status_code == 200
    assert {one["id"] for one in third.session["evicted"]} == {old.id, new.id}


def test_an_operator_is_warned_as_long_as_it_observes(client: FlaskClient) -> None:
    (warning,) = client.get("/readyz").json["warnings"]

    assert warning.startswith("SESSION_ENFORCEMENT is observe")


def test_an_invalid_token_is_refused_as_ever(client: FlaskClient) -> None:
    answer = client.get("/sessions/validate", headers={"Authorization": "Bearer a.b.c"})

    assert (answer.status_code, answer.json["code"]) == (401, "token_invalid")
    assert WOULD_REFUSE not in answer.headers
