"""Options, errors and answers as plain values."""

import json

import pytest

from session_client import Answer, Options, Refused, ServiceUnavailable, SessionClient, SessionEnded, TokenRefused
from session_client.answers import yes_of
from session_client.caller import Caller
from session_client.calls import Call, Credentials, ended_sessions, ends_own_session, forward
from session_client.errors import refusal_of
from session_client.options import options_of

NOBODY = Caller(None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "127.0.0.1:8080"},
        {"url": "ftp://x"},
        {"url": "http://"},
        {"url": "http://user:secret@x"},
        {"url": "http://x?y"},
        {"credentials": "name"},
        {"credentials": ":secret"},
        {"credentials": "name:"},
        {"recheck_seconds": 0},
        {"timeout_seconds": -1},
        {"most_remembered": 0},
        {"outage_seconds": float("nan")},
        {"on_outage": "allow"},
    ],
)
def test_options_that_cannot_be_used_are_refused_without_showing_a_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        Options(**{"url": "http://x", **wrong})  # type: ignore[arg-type]
    assert "secret" not in str(error.value).replace("name:secret", "")


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options_of({"SESSION_SERVICE_URL": "http://x"}) == {"url": "http://x"}
    with pytest.raises(ValueError, match="SESSION_SERVICE_URL"):
        options_of({})
    monkeypatch.setenv("SESSION_SERVICE_URL", "http://x")
    monkeypatch.setenv("SESSION_SERVICE_CREDENTIALS", "a:b")

    client = SessionClient.from_environment(recheck_seconds=5.0)

    assert (client.options.credentials, client.options.recheck_seconds) == ("a:b", 5.0)
    assert "a:b" not in repr(Credentials("a:b"))
    assert "a:b" not in repr(client.options)
    client.close()


def test_an_error_of_a_test_has_an_answer_of_the_services_shape() -> None:
    ended, unavailable = SessionEnded("revoked", "You signed out elsewhere."), ServiceUnavailable(retry_after=7)

    said = json.loads(ended.answer.body)
    assert (said["code"], said["end_reason"], said["status"]) == ("session_ended", "revoked", 401)
    assert (ended.reason, ended.detail, ended.code) == ("revoked", "You signed out elsewhere.", "session_ended")
    assert ended.answer.passed_on["WWW-Authenticate"].startswith("Bearer")
    assert (unavailable.answer.status, unavailable.answer.passed_on["Retry-After"]) == (503, "7")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "session_ended", SessionEnded),
        (401, "token_expired", TokenRefused),
        (401, "session_unknown", TokenRefused),
        (409, "session_limit_reached", Refused),
    ],
)
def test_a_refusal_is_the_error_of_its_code(status: int, code: str, kind: type[Refused]) -> None:
    error = refusal_of(Answer(status, {}, json.dumps({"code": code, "detail": "Why."}).encode()))

    assert type(error) is kind
    assert (error.code, error.detail) == (code, "Why.")
    assert refusal_of(Answer(401, {"x-session-code": code}, b"dropped by a gateway")).code == code


def test_the_time_limits_of_a_yes_are_read_or_unknown() -> None:
    said = {"active": True, "session_id": 1, "user_id": "auth0|5", "expires_at": "2026-01-01T00:00:00.5Z"}
    date = {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}

    def limits(**more: object) -> tuple[float, ...] | None:
        return yes_of(Answer(200, date, json.dumps({**said, **more}).encode())).limits

    def read(headers: dict[str, str]) -> float | None:
        return yes_of(Answer(200, headers, json.dumps(said).encode())).answered_at

    assert limits(idle_expires_at=None) == (1_767_225_600.5,)
    assert limits(idle_expires_at="2025-12-31T23:00:00+00:00") == (1_767_225_600.5, 1_767_222_000.0)
    assert limits() is None  # a service that does not tell it
    for wrong in ("yesterday", "2026-01-01T00:00:00", 5):
        assert limits(idle_expires_at=wrong) is None
    assert limits(idle_expires_at=None, expires_at=None) is None
    assert read(date) == 1_767_225_600.0
    assert read({}) is None
    assert read({"date": "now"}) is None


@pytest.mark.parametrize("path", ["../metrics", "x/../../metrics", ".", "x/.."])
def test_a_path_that_leads_elsewhere_is_not_forwarded(path: str) -> None:
    assert forward("GET", path, "", NOBODY) is None
    assert forward("PUT", "my-sessions", "", NOBODY) is None


def test_a_forwarded_call_keeps_its_query_and_has_a_body_only_with_post() -> None:
    call = forward("POST", "a b\u00e9/%2e", "x=1&y=%20\u00e9 \r\n", NOBODY, ("text/plain", b"body"))
    get = forward("GET", "my-sessions", "", NOBODY, ("text/plain", b"body"))

    assert call
    assert call.target == "/sessions/a%20b%C3%A9/%252e?x=1&y=%20%C3%A9%20%0D%0A"
    assert (call.body, call.headers) == (b"body", {"Content-Type": "text/plain"})
    assert get
    assert (get.target, get.body, get.headers) == ("/sessions/my-sessions", b"", {})


def test_what_a_call_has_ended_is_read_from_it_and_its_answer() -> None:
    def ended(method: str, target: str, status: int, body: object = None) -> list[int]:
        return ended_sessions(Call(method, target), Answer(status, {}, json.dumps(body).encode()))

    assert ended("DELETE", "/sessions/session/5?everywhere=true", 200) == [5]
    assert ended("DELETE", "/sessions/session/5", 404) == []
    assert ended("GET", "/sessions/session/5", 200) == []
    assert ended("DELETE", "/sessions/session/x", 200) == []
    assert ended("POST", "/sessions/create", 201, {"evicted": [{"id": 3}, {"id": 4}, {}, 5]}) == [3, 4]
    assert ended("POST", "/sessions/create", 201, []) == []
    own = {
        "/sessions/logout": True,
        "/sessions/logout?everywhere=true": True,
        "/sessions/logout-all": True,
        "/sessions/logout-all?exclude_current=true": False,
        "/sessions/session/5": False,
    }
    assert {target: ends_own_session(Call("DELETE", target)) for target in own} == own
    assert not ends_own_session(Call("GET", "/sessions/logout"))
