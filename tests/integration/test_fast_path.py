"""Plain requests are answered in front of Flask: whatever is asked, both ways give the same."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text
from werkzeug.test import Client, TestResponse

from session_service import metrics, request_id
from session_service.database.engine import db
from session_service.views.fast_path import FastPath
from tests.harness import hostile
from tests.harness.hostile import CREDENTIALS
from tests.harness.ladder import HOME, NOON, TABLE, put
from tests.harness.log_lines import extra_of
from tests.harness.rows import missing_table
from tests.harness.support import CHROME, FIREFOX, IPHONE, MakeApp, components_of, make_token, respelt, sign_in_with

PATH, LIST, CREATE = "/sessions/validate", "/sessions/my-sessions", "/sessions/create"
ID = "the-id-of-both"
CHOSEN = re.compile("[0-9a-f]{32}")
NEW = re.compile(r'(?<="id":)\d+|(?<=/sessions/session/)\d+')
"""The ids in the answer to a sign-in: each has another one."""


@dataclass
class Answer:
    """What a request gave: to the caller, to the log and to the metrics."""

    status: str
    headers: list[tuple[str, str]]
    body: str
    lines: list[dict[str, Any]]
    metrics: dict[str, float]


class Ways:
    """Asks an application by the way that requests take, and by Flask alone."""

    def __init__(self, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
        assert isinstance(app.wsgi_app, FastPath)
        self.app, self._caplog = app, caplog
        self._fast, self.passed_on = app.wsgi_app, 0
        self._flask = self._fast.otherwise
        self._fast.otherwise = self._pass_on

    def _pass_on(self, environ: Any, start_response: Any) -> Any:
        self.passed_on += 1
        return self._flask(environ, start_response)

    def ask(self, **request: Any) -> Answer:
        """Ask as usual."""
        return self._ask(self._fast, request)

    def ask_flask(self, **request: Any) -> Answer:
        """Ask Flask alone."""
        return self._ask(self._flask, request)

    def _ask(self, application: Any, request: dict[str, Any]) -> Answer:
        client = Client(application, TestResponse)
        sent = {"X-Request-ID": ID, "User-Agent": CHROME, **request.pop("headers", {})}
        before = counts()
        self._caplog.clear()
        with client.open(**{"path": PATH, "environ_base": {"REMOTE_ADDR": HOME}, **request}, headers=sent) as got:
            # An id that the service chose is another one each time.
            is_sign_in = got.status_code == 201
            hide = partial(NEW.sub, "new") if is_sign_in else partial(CHOSEN.sub, "chosen")
            answer = Answer(got.status, [(name, hide(value)) for name, value in got.headers], hide(got.text), [], {})
            if is_sign_in:  # a longer id makes a longer answer
                answer.headers.remove(("Content-Length", str(len(got.data))))
        answer.lines = [
            {name: value for name, value in {**vars(record), **extra_of(record)}.items() if name in LINE}
            for record in self._caplog.records
        ]
        after = counts()
        answer.metrics = {name: value - before.get(name, 0) for name, value in after.items()}
        answer.metrics = {name: more for name, more in answer.metrics.items() if more}
        return answer


def counts() -> dict[str, float]:
    """Return what the metrics of this process have counted."""
    return {
        name: float(value)
        for name, value in re.findall(
            r"^(\S+_(?:total|count)\S*) (\S+)$", metrics.exposition([]).decode(), re.MULTILINE
        )
    }


LINE = {"msg", "method", "route", "status", "user_id", "session_id", "code", "token_refused", "levelname"}


@pytest.fixture
def ways(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> Callable[..., Ways]:
    """Return what makes both ways into an application with these settings."""
    caplog.set_level(logging.INFO, "session_service")
    return lambda **settings: Ways(make_app(**{"ACTIVITY_INTERVAL_SECONDS": 60, **settings}), caplog)


MakeWays = Callable[..., Ways]


@contextmanager
def at(moment: datetime = NOON) -> Iterator[time_machine.Traveller]:
    """Stop the clock."""
    with time_machine.travel(moment, tick=False) as clock:
        yield clock


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_case_of_the_ladder_gives_the_same_both_ways(ways: MakeWays) -> None:
    both = ways()
    settings = components_of(both.app).settings
    plain = 0
    for name, (on_record, (token, agent, address), _) in TABLE.items():
        with both.app.app_context():
            for table in ("session_tokens", "sessions", "session_owners"):
                db.session.execute(text(f"DELETE FROM {table}"))
            db.session.commit()
            sessions = [put(settings, was) for was in on_record]
        asked = {
            "headers": {**bearer(token), **({"User-Agent": agent} if agent else {"User-Agent": ""})},
            "environ_base": {"REMOTE_ADDR": address or ""},
        }
        with at():
            first = both.ask(**asked)  # verifies the token, writes the activity, remembers a refreshed token
            passed_on = both.passed_on
            second, alone = both.ask(**asked), both.ask_flask(**asked)
            passed_on_then = both.passed_on
            listed, listed_alone = both.ask(**asked, path=LIST), both.ask_flask(**asked, path=LIST)

        assert second == alone, name
        assert listed == listed_alone, name
        assert both.passed_on - passed_on_then == passed_on_then - passed_on, name
        assert (first.status, first.body) == (second.status, second.body), name
        is_plain = passed_on_then == passed_on
        assert not is_plain or second.status == "200 OK", name
        # One session of this token, and active: then Flask is not asked.
        with both.app.app_context():
            of_token = db.session.execute(text("SELECT count(*) FROM session_tokens")).scalar()
        assert is_plain or second.status != "200 OK" or len(sessions) > 1 or of_token != 1, name
        plain += is_plain

    assert plain >= 35


REQUESTS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "with a query": {"query_string": {"token": "x"}},
    "lower case": {"headers": {"Authorization": "bearer {token}"}},
    "more spaces": {"headers": {"Authorization": "  Bearer   {token} "}},
    "a strange id": {"headers": {"X-Request-ID": "a b\tc"}},
    "no user agent": {"headers": {"User-Agent": ""}},
    "another device": {"headers": {"User-Agent": FIREFOX}},
    "an unsigned token": {"headers": {"Authorization": "Bearer {unsigned}"}},
    "another spelling": {"headers": {"Authorization": "Bearer {respelt}"}},
    "two tokens": {"headers": {"Authorization": "Bearer {token} {token}"}},
    "two headers": {"headers": {"Authorization": "Bearer {token},Bearer {token}"}},
    "another scheme": {"headers": {"Authorization": "Basic {token}"}},
    "no token": {"headers": {"Authorization": ""}},
    "a page": {"headers": {"Origin": "https://app.example.com"}},
    "a page of somebody else": {"headers": {"Origin": "https://evil.example"}},
    "a preflight": {"method": "OPTIONS", "headers": {"Origin": "https://app.example.com"}},
    "a forwarded address": {"headers": {"X-Forwarded-For": "198.51.100.9"}},
    "a head": {"method": "HEAD"},
    "a post": {"method": "POST"},
    "a body": {"data": b"{}"},
    "a large body": {"data": b"x" * 20_000},
    "a slash": {"path": f"{PATH}/"},
    "a doubled slash": {"path": "//sessions/validate"},
    "conditional": {"headers": {"If-None-Match": "*", "Range": "bytes=0-1", "Accept": "text/html"}},
}


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("path", [PATH, LIST])
def test_any_request_gives_the_same_both_ways(ways: MakeWays, path: str, hops: int) -> None:
    both = ways(CORS_ALLOWED_ORIGINS=() if hops else ("https://app.example.com",), TRUSTED_PROXY_HOPS=hops)
    token = make_token(74, n="both")
    with at():
        sign_in_with(both.app.test_client())(token=token)
        both.ask(headers=bearer(token))
        for name, request in REQUESTS.items():
            words = {"token": token, "respelt": respelt(token), "unsigned": f"{token.rpartition('.')[0]}.eA"}
            headers = {header: value.format(**words) for header, value in request.get("headers", {}).items()}
            asked = {"path": path, **request, "headers": {**bearer(token), **headers}}
            # The first call of each spelling is verified, and the first forwarded address is warned of.
            both.ask(**asked)
            passed_on = both.passed_on
            assert both.ask(**asked) == both.ask_flask(**asked), name
            plain = {"as usual", "with a query", "lower case", "more spaces", "a strange id", "no user agent"}
            plain |= {"another device", "conditional"}
            plain |= {"a forwarded address", "a page", "a page of somebody else"} if hops else set()
            plain -= {"with a query"} if path == LIST else set()
            assert (both.passed_on == passed_on) == (name in plain), name


FAST = {PATH, LIST, CREATE}

PARTS = 4
"""The hostile requests are asked in so many tests, because one would keep a core for half a minute."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_hostile_request_gives_the_same_both_ways(ways: MakeWays, part: int) -> None:
    both = ways(SERVICE_CREDENTIALS=CREDENTIALS)
    token = make_token(74, n="hostile", role="admin")
    with at():
        sign_in_with(both.app.test_client())(token=token)
        others: set[str] = set()
        for name, (_, sent, _) in list(hostile.TABLE.items())[part::PARTS]:
            asked = {**sent, "headers": {**bearer(token), **sent.get("headers", {})}}
            # On the paths in front of Flask. Any other path goes on at once, whatever else the request has, so each of
            # those is asked for once.
            for path in FAST if asked["path"] in others else FAST | {asked["path"]}:
                assert both.ask(**{**asked, "path": path}) == both.ask_flask(**{**asked, "path": path}), (name, path)
            others.add(asked["path"])


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"USER_ID_TYPE": "string"}, {"id": "Zoë/line\r\nX: 1 %"}),
        ({"UNKNOWN_SESSION_POLICY": "allow"}, {}),
        ({"UNKNOWN_SESSION_POLICY": "adopt"}, {"sid": "s1"}),
        ({"SESSION_IDLE_SECONDS": 0}, {"jti": "j1"}),
        ({"CORS_ALLOWED_ORIGINS": ("*",)}, {}),
        ({"MASK_ADDRESSES": True}, {}),
    ],
)
def test_with_any_settings_both_ways_give_the_same(
    ways: MakeWays, settings: dict[str, Any], claims: dict[str, Any]
) -> None:
    both = ways(**settings)
    with at():
        sign_in_with(both.app.test_client())(token=(token := make_token(74, **claims)))
        both.ask(headers=bearer(token))
        passed_on = both.passed_on

        for path in (PATH, LIST):
            asked = {"path": path, "headers": bearer(token)}
            assert both.ask(**asked) == (alone := both.ask_flask(**asked))
            assert (alone.status, both.passed_on) == ("200 OK", passed_on)


TICK = timedelta(microseconds=1)
LIMITS: list[tuple[timedelta, str, bool]] = [
    # (how long after the sign-in, the answer, whether it is the plain yes)
    (timedelta(seconds=60) - TICK, "200 OK", True),
    (timedelta(seconds=60), "200 OK", False),  # the activity is due
    (timedelta(seconds=300) - TICK, "200 OK", False),
    (timedelta(seconds=300), "401 UNAUTHORIZED", False),  # the token's exp
]


@pytest.mark.parametrize("limit", ["JWT", "SESSION_IDLE_SECONDS", "SESSION_LIFETIME_SECONDS"])
def test_time_limits_hold_to_the_microsecond(ways: MakeWays, limit: str) -> None:
    both = ways(**({limit: 300} if limit != "JWT" else {}))
    claims: dict[str, Any] = {"exp": int((NOON + timedelta(seconds=300)).timestamp())} if limit == "JWT" else {}
    for user_id, (after, status, is_plain) in enumerate(LIMITS, start=1):
        token = make_token(user_id, **claims)
        with at() as clock:
            sign_in_with(both.app.test_client())(token=token)
            both.ask(headers=bearer(token))
            clock.move_to(NOON + after)
            passed_on = both.passed_on
            answer = both.ask(headers=bearer(token))

            assert answer.status == status, after
            assert (both.passed_on == passed_on) == is_plain, after
            alone = both.ask_flask(headers=bearer(token))
            assert (answer.status, answer.headers, answer.body) == (alone.status, alone.headers, alone.body), after


def test_an_end_counts_at_once_whoever_asks(ways: MakeWays) -> None:
    both = ways()
    with at():
        token = make_token(74, n="ends")
        phone = sign_in_with(both.app.test_client())(token=token)
        assert both.ask(headers=bearer(token)).status == "200 OK"
        phone.delete("/sessions/logout")

        assert both.ask(headers=bearer(token)) == (alone := both.ask_flask(headers=bearer(token)))
        assert alone.status == "401 UNAUTHORIZED"


def test_an_outage_is_reported_once_and_both_ways_alike(ways: MakeWays) -> None:
    both = ways()
    with at():
        sign_in_with(both.app.test_client())(token=(token := make_token(74, n="outage")))
        both.ask(headers=bearer(token))
        with missing_table(both.app, "session_tokens"):
            fast, alone = both.ask(headers=bearer(token)), both.ask_flask(headers=bearer(token))

        assert fast == alone
        assert fast.status == "503 SERVICE UNAVAILABLE"
        assert [line["levelname"] for line in fast.lines] == ["WARNING", "INFO"]
        assert both.ask(headers=bearer(token)).status == "200 OK"


def test_what_is_wrong_in_front_of_flask_is_no_reason_to_fail(ways: MakeWays, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ways()
    with at():
        sign_in_with(both.app.test_client())(token=(token := make_token(74, n="wrong")))
        both.ask(headers=bearer(token))
        broken = "_lookup"  # a fault that nobody thought of, planted behind all checks
        monkeypatch.setattr(both._fast, broken, lambda *_: 1 / 0)
        passed_on = both.passed_on

        assert both.ask(headers=bearer(token)) == both.ask_flask(headers=bearer(token))
        assert both.passed_on == passed_on + 1


BROWSER = {"device_fingerprint": "b3f1c2", "device_name": "Office laptop", "device_type": "web", "browser": "Chrome"}
JSON = "application/json"
SIGN_INS: dict[str, tuple[dict[str, Any], str, bool]] = {
    # (the request, the first digits of its status, whether it is answered in front of Flask)
    "no body": ({}, "201", True),
    "what a client says": ({"json": BROWSER}, "201", True),
    "all that a client may say": ({"json": {**BROWSER, "ip_address": "203.0.113.9", "end": None}}, "201", True),
    "an empty object": ({"data": b"{}", "content_type": JSON}, "201", True),
    "unknown members": ({"json": {"user_id": 1, "is_admin": True}}, "422", False),
    "a query": ({"query_string": {"user_id": "1"}}, "201", True),
    "no user agent": ({"headers": {"User-Agent": ""}}, "201", True),
    "a platform version": ({"headers": {"Sec-CH-UA-Platform-Version": '"15.0.0"'}}, "201", True),
    "a charset": ({"data": b"{}", "content_type": "application/json; charset=utf-8"}, "201", False),
    "a page": ({"headers": {"Origin": "https://app.example.com"}, "json": BROWSER}, "201", False),
    "a mounted application": ({"environ_overrides": {"SCRIPT_NAME": "/mounted"}, "json": BROWSER}, "201", False),
    "a foreign session": ({"json": {"end": [2**40]}}, "404", False),
    "no object": ({"json": [1]}, "422", False),
    "a wrong type": ({"json": {"browser": 1}}, "422", False),
    "a long text": ({"json": {"browser": "x" * 300}}, "422", False),
    "a zero byte": ({"json": {"browser": "\0"}}, "422", False),
    "no JSON": ({"data": b"{", "content_type": JSON}, "400", False),
    "a repeated name": ({"data": b'{"browser":"a","browser":"b"}', "content_type": JSON}, "400", False),
    "a form": ({"data": {"browser": "x"}}, "415", False),
    "a large body": ({"data": b" " * 16_385, "content_type": JSON}, "413", False),
    "a body cut off": (
        {"data": b"{}", "content_type": JSON, "environ_overrides": {"CONTENT_LENGTH": "20"}},
        "400",
        False,
    ),
}


def sign_in_both(both: Ways, n: object, claims: dict[str, Any] | None = None, **request: Any) -> tuple[Answer, Answer]:
    """Sign in a user in front of Flask, and another one by Flask alone; return the answers with the same user id."""
    answers = []
    for ask, user_id in ((both.ask, 101), (both.ask_flask, 202)):
        headers = {**bearer(make_token(user_id, n=n, **(claims or {}))), **request.get("headers", {})}
        answer = ask(**{"method": "POST", "path": CREATE, **request, "headers": headers})
        answer.body = NEW.sub("new", answer.body).replace(f'"user_id":{user_id}', '"user_id":"both"')
        for line in answer.lines:
            line["user_id"] = "both" if line.get("user_id") in {str(user_id), user_id} else line.get("user_id")
            line["session_id"] = "new" if line["msg"] != "request" else line["session_id"]
        answers.append(answer)
    return answers[0], answers[1]


@pytest.mark.parametrize("name", SIGN_INS)
def test_any_sign_in_gives_the_same_both_ways(ways: MakeWays, name: str) -> None:
    both = ways(CORS_ALLOWED_ORIGINS=("https://app.example.com",), MAX_SESSIONS_PER_USER=2)
    request, status, is_fast = SIGN_INS[name]
    with at():
        for number, agent in enumerate((IPHONE, FIREFOX)):
            sign_in_both(both, number, headers={"User-Agent": agent})
        passed_on = both.passed_on
        fast, alone = sign_in_both(both, name, **request)

    assert fast == alone
    assert fast.status.startswith(status)
    assert (both.passed_on == passed_on) == is_fast
    assert ('"end_reason":"limit"' in fast.body) == (status == "201")  # the oldest made room


REFUSALS: dict[str, tuple[dict[str, Any], str, int]] = {
    # (the settings, the code, how many sign-ins succeed before)
    "the limit": ({"SESSION_LIMIT_POLICY": "reject", "MAX_SESSIONS_PER_USER": 2}, "session_limit_reached", 2),
    "the rate": ({"MAX_SIGN_INS_PER_MINUTE": 3}, "sign_in_rate_exceeded", 3),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_sign_in_is_decided_and_counted_once(ways: MakeWays, name: str) -> None:
    settings, code, successes = REFUSALS[name]
    both = ways(**settings)
    with at():
        for number in range(successes):
            sign_in_both(both, number, environ_base={"REMOTE_ADDR": f"203.0.113.{number}"})
        fast, alone = sign_in_both(both, "refused")

    assert fast == alone
    assert f'"code":"{code}"' in fast.body
    assert fast.metrics[f'session_service_sign_ins_total{{outcome="{code}"}}'] == 1
    assert fast.metrics["session_service_database_transaction_seconds_count"] == 1


def test_a_token_whose_session_ended_cannot_sign_in_either_way(ways: MakeWays) -> None:
    both = ways()
    with at():
        sign_in_both(both, "ends")
        for user_id in (101, 202):
            both.ask(method="DELETE", path="/sessions/logout", headers=bearer(make_token(user_id, n="ends")))
        fast, alone = sign_in_both(both, "ends")

    assert fast == alone
    assert fast.status == "401 UNAUTHORIZED"
    assert '"code":"session_ended"' in fast.body


def test_a_sign_in_that_fails_is_not_tried_again(ways: MakeWays, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ways()
    calls = []

    def fail(*_args: Any, **options: Any) -> None:
        calls.append(options)
        raise RuntimeError("after the commit, perhaps")

    with at():
        monkeypatch.setattr(components_of(both.app).sign_in, "create_session", fail)
        fast, alone = sign_in_both(both, "fails")

    assert fast == alone
    assert fast.status == "500 INTERNAL SERVER ERROR"
    assert len(calls) == 2  # one for each way


@pytest.mark.parametrize("path", [PATH, CREATE])
def test_a_request_that_goes_on_keeps_its_id(ways: MakeWays, caplog: pytest.LogCaptureFixture, path: str) -> None:
    both = ways(SESSION_LIMIT_POLICY="reject", MAX_SESSIONS_PER_USER=1)
    sign_in_both(both, "first")
    ids: list[str | None] = []

    def note_id(_record: logging.LogRecord) -> bool:
        ids.append(request_id.current.get())
        return True

    caplog.handler.addFilter(note_id)
    client = Client(both.app, TestResponse)
    headers = bearer(make_token(101, n="unknown"))  # for Flask to decide

    answer = client.open(path, method="POST" if path == CREATE else "GET", headers=headers)

    caplog.handler.removeFilter(note_id)
    assert answer.status_code == (409 if path == CREATE else 200)
    assert set(ids) == {answer.headers["X-Request-ID"]}
    assert len(ids[0] or "") == 32


def test_a_sign_in_without_its_tables_is_unavailable_both_ways(ways: MakeWays) -> None:
    both = ways()
    with at():
        sign_in_both(both, "before")
        with missing_table(both.app, "session_tokens"):
            fast, alone = sign_in_both(both, "meanwhile")

    assert fast == alone
    assert fast.status == "503 SERVICE UNAVAILABLE"
    assert [line["levelname"] for line in fast.lines] == ["WARNING", "INFO"]
    assert fast.metrics["session_service_database_transaction_seconds_count"] == 1
