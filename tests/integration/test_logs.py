"""What is written down while all that is hostile arrives: nothing secret, and no line that is not the service's own."""

import json
import logging
import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from session_service.clock import utcnow
from session_service.errors import TokenExpired, TokenInvalid, TokenMissing
from session_service.server import draining
from session_service.services.purge import purge
from tests.harness.hostile import CREDENTIALS, TABLE
from tests.harness.log_lines import CHANGE, EVENTS, REQUEST, extra_of, leaks
from tests.harness.support import IPHONE, SECRET, MakeApp, make_token, settings, sign_in_with
from tests.harness.token_attacks import SHARED_SECRET


def lines_of(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """Return what the lines of one event hold."""
    return [extra_of(record) for record in caplog.records if record.getMessage() == event]


def test_a_log_that_leaks_would_be_noticed() -> None:
    assert leaks(f"GET /sessions/my-sessions?token={make_token()}")
    assert leaks(f"secret: {SECRET}")
    assert not EVENTS.fullmatch("a line of somebody else's")
    assert not EVENTS.fullmatch("a request could not be read: \x1b[31mX")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_written_about_hostile_requests_that_anybody_could_use(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    admin = sign_in_with(client)(74, role="admin")
    caplog.set_level(logging.DEBUG)

    said = [
        client.open(**{**sent, "headers": {**admin.headers, **sent.get("headers", {})}}).text
        for _, sent, _ in TABLE.values()
    ]
    for _, token in SHARED_SECRET.values():
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "a\x1b[31mb\tc"}
        said.append(client.get("/sessions/validate", headers=headers).text)

    assert len(said) >= 200
    assert leaks("".join(said)) == []
    assert leaks(caplog.text) == []
    assert leaks(json.dumps([extra_of(record) for record in caplog.records])) == []
    # Not what a thread of another test's application says, which goes on fetching its keys.
    ours = [record for record in caplog.records if record.thread == threading.get_ident()]
    assert len(ours) >= 200
    assert {record.name.partition(".")[0] for record in ours} == {"session_service"}
    for record in ours:
        assert EVENTS.fullmatch(record.getMessage()), record.getMessage()


@pytest.mark.parametrize(
    "path", ["/healthz", "/docs", "/docs/docs.js", "/openapi.json", "/sessions/my-sessions", "/no"]
)
def test_every_answer_says_how_it_may_be_used_and_not_what_serves_it(app: Flask, path: str) -> None:
    with app.test_client().get(path) as response:
        headers = response.headers

    assert headers.getlist("Cache-Control") == ["no-store"]
    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert "X-Powered-By" not in headers
    assert not re.search(r"\d", headers.get("Server", ""))
    assert ("Content-Security-Policy" in headers) == (path == "/docs")


def test_each_request_has_one_line_without_its_path_its_query_or_its_token(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    device = sign_in_with(make_app().test_client())(74)
    caplog.set_level(logging.INFO)

    device.get(f"/sessions/session/{device.id}?token={make_token()}")
    device.get("/nothing/of/the/kind?secret=1")
    device.call("FROBNICATE", "/healthz")

    lines = lines_of(caplog, "request")
    assert [(line["method"], line["route"], line["status"], line.get("code")) for line in lines] == [
        ("GET", "/sessions/session/<session_id>", 200, None),
        ("GET", "none", 404, "not_found"),
        ("other", "none", 405, "method_not_allowed"),
    ]
    assert (lines[0]["user_id"], lines[0]["session_id"]) == ("74", device.id)
    assert (lines[1]["user_id"], lines[1]["session_id"]) == (None, None)
    assert all(
        line.keys() - {"code", "token_refused"} == REQUEST and 0 < line["duration_ms"] < 60_000 for line in lines
    )


def test_each_change_of_a_sessions_life_has_one_line(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(MAX_SESSIONS_PER_USER=2)
    sign_in = sign_in_with(app.test_client())
    caplog.set_level(logging.INFO)

    first, second = sign_in(74), sign_in(74)  # the same device again
    third, fourth = sign_in(74, user_agent="Firefox"), sign_in(74, user_agent=IPHONE)
    fourth.delete(f"/sessions/session/{third.id}")
    fourth.delete(f"/sessions/session/{third.id}")
    fourth.delete("/sessions/logout")
    fifth = sign_in(74)
    sign_in(1, role="admin").delete("/sessions/user/74")
    sixth = sign_in(75)
    with app.app_context():
        *_, _done = purge(settings(), now=utcnow() + timedelta(days=8), batch=10)

    assert [line["session_id"] for line in lines_of(caplog, "session_created")][:4] == [
        first.id,
        second.id,
        third.id,
        fourth.id,
    ]
    assert {line["reason"] for line in lines_of(caplog, "session_created")} == {"sign_in"}
    ends = lines_of(caplog, "session_ended")
    assert all(line.keys() == CHANGE for line in ends)
    told = [(line["session_id"], line["reason"], line["by"], line["successor_id"]) for line in ends]
    assert told[:5] == [
        (first.id, "replaced", "74", second.id),
        (second.id, "limit", "74", fourth.id),
        (third.id, "revoked", "74", None),
        (fourth.id, "logout", "74", None),
        (fifth.id, "admin", "1", None),
    ]
    assert (sixth.id, "idle", None, None) in told[5:]


def test_of_what_was_undone_nothing_is_told(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    client = make_app(MAX_SESSIONS_PER_USER=1, SESSION_LIMIT_POLICY="reject").test_client()
    sign_in_with(client)(74)
    caplog.set_level(logging.INFO)

    refused = client.post(
        "/sessions/create", headers={"Authorization": f"Bearer {make_token(74)}", "User-Agent": IPHONE}
    )

    assert refused.status_code == 409
    assert lines_of(caplog, "session_created") + lines_of(caplog, "session_ended") == []


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("6f1c2f0e8a8b4c0f9a1d3e5b7c9d0e1f", True),
        ("1-67891233-abcdef012345678912345678", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("two words", False),
        ('"quoted"', False),
        ("caf\xe9", False),
        ("{}", False),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_id_of_a_request_is_the_callers_if_it_can_be_written_everywhere(
    app: Flask, sent: str, is_taken: bool
) -> None:
    answer = app.test_client().get("/nothing", headers={"X-Request-ID": sent})

    assert (answer.headers["X-Request-ID"] == sent) == is_taken
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[\w-]{32,128}", answer.headers["X-Request-ID"])


DETAILS = {kind.detail for kind in (TokenMissing, TokenInvalid, TokenExpired)}
"""What callers are told: one sentence a code, whatever the reason."""


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "missing"),
        ("Bearer", "missing"),
        ("Bearer a b", "malformed: not one token"),
        ("Bearer no-token", "malformed"),
        (f"Bearer {make_token(key='another-secret-with-quite-enough-bytes')}", "signature"),
        (f"Bearer {make_token(algorithm='HS512')}", None),
        (f"Bearer {make_token(exp=1)}", "expired"),
        (f"Bearer {make_token(None, sub='johndoe')}", "claims: no usable user id in sub"),
        (f"Bearer {make_token(type='refresh')}", "claims: it is a refresh token"),
    ],
)
def test_the_line_of_a_refused_token_says_why(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, authorization: str | None, reason: str | None
) -> None:
    caplog.set_level(logging.INFO, "session_service")
    response = client.get("/sessions/my-sessions", headers={"Authorization": authorization} if authorization else {})

    (line,) = lines_of(caplog, "request")
    assert line.get("token_refused") == reason
    assert (response.status_code == 401) == (reason is not None)
    assert (response.json or {}).get("code") in {None, "token_missing", "token_invalid", "token_expired"}
    assert response.json == [] or response.json["detail"] in DETAILS


def test_successful_health_probes_are_not_logged_and_failed_ones_are(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "session_service")
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/nothing")] == [200, 200, 404]

    draining.begin()
    try:
        assert client.get("/readyz").status_code == 503
    finally:
        draining._flag[0] = 0

    assert [(line["route"], line["status"]) for line in lines_of(caplog, "request")] == [
        ("none", 404),
        ("/readyz", 503),
    ]
