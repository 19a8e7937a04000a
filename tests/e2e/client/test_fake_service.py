"""The service in memory of the client library answers as the real one does: the same questions to both."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from session_client import Answer, Caller, Options, Refused, ServiceUnavailable, SessionClient, forward
from session_client.calls import Call, feed, list_user, validate
from session_client.feed import PATH, page_of
from session_client.testing import FakeService

from tests.harness.examples import CREDENTIALS, service_on
from tests.harness.support import make_token

pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

Token = Callable[..., str]
_numbers = count(1)


@contextmanager
def real(database_url: str) -> Iterator[tuple[SessionClient, Token]]:
    with service_on(database_url) as url:
        client = SessionClient(Options(url=url, credentials=CREDENTIALS, remember=False))
        yield client, lambda user_id=74, **claims: make_token(user_id, sid=f"sign-in-{next(_numbers)}", **claims)
        client.close()


def in_memory() -> tuple[SessionClient, Token]:
    service = FakeService()
    return service.client(), lambda user_id=74, **claims: service.token(user_id, **claims)


def caller(token: str) -> Caller:
    return Caller(f"Bearer {token}", None, "203.0.113.7")


def shape(value: Any) -> Any:
    """Return what a program reads from an answer: names and kinds of values, and all values but those of an instant."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def forwarded(method: str, path: str, token: str, content: tuple[str | None, bytes] | None = None) -> Call:
    call = forward(method, path, "", caller(token), content)
    assert call
    return call


FOR_PROGRAMS = ("X-Session-Code", "WWW-Authenticate", "Content-Type", "Cache-Control")


def seen(answer: Answer) -> Any:
    headers = {name: answer.passed_on.get(name) for name in FOR_PROGRAMS}
    names = {name for name in answer.passed_on if name in {"Location", "X-Session-Id", "X-User-Id"}}
    said = answer.json
    known = {"code", "end_reason", "status", "user_id", "active", "closed", "message", "success"}
    values = {name: said[name] for name in known & said.keys()} if isinstance(said, dict) else {}
    return answer.status, headers, names, shape(said), values


def the_scenario(client: SessionClient, token: Token) -> Iterator[tuple[str, Any]]:
    """Play what the library and its adapters ask, and give what each answer says."""

    def ask(call: Call) -> Any:
        return seen(client.forward(call))

    def go(method: str, path: str, given: str, content: tuple[str | None, bytes] | None = None) -> Any:
        return ask(forwarded(method, path, given, content))

    laptop, phone, stranger = token(), token(), token(75)
    yield "unknown", ask(validate(caller(laptop)))
    yield "missing", ask(validate(Caller(None, None, None)))
    yield "invalid", ask(validate(caller("x.y.z")))
    yield "expired", ask(validate(caller(token(exp=1_000_000_000))))
    json = ("application/json", b'{"device_name": "Laptop"}')
    yield "created", go("POST", "create", laptop, json)
    yield "created without a device", go("POST", "create", phone, ("application/json", b"{}"))
    yield "active", ask(validate(caller(laptop)))
    yield "listed", go("GET", "my-sessions", laptop)
    mine = client.forward(forwarded("GET", "my-sessions", laptop))
    of_phone = next(one["id"] for one in mine.json if not one["is_current"])
    yield "a stranger's", go("DELETE", f"session/{of_phone}", stranger)
    yield "closed", go("DELETE", f"session/{of_phone}", laptop)
    yield "closed again", go("DELETE", f"session/{of_phone}", laptop)
    yield "ended", ask(validate(caller(phone)))
    yield "created with an ended token", go("POST", "create", phone)
    yield "listed for a service", ask(list_user(74, False, client.options.basic))
    yield "sign-out", go("DELETE", "logout", laptop)
    yield "sign-out again", go("DELETE", "logout", laptop)
    yield "sign-out without a session", go("DELETE", "logout", token())
    yield "signed out", ask(validate(caller(laptop)))
    client.create(caller(token()))
    yield "ended for a user", shape(client.end_user(74).__dict__)
    yield "nothing to end", client.end_user(74)
    start = page_of(client.forward(feed(PATH, {}, client.options.basic)))
    last = client.create(caller(token(76)))
    client.end_user(76)
    page = page_of(client.forward(feed(PATH, {"after": start.position}, client.options.basic)))
    yield "told", (page.ended == (last["id"],), start.ended, page.complete, page.lease_seconds)


def test_the_service_in_memory_answers_as_the_real_one(database_url: str) -> None:
    client, token = in_memory()
    faked = dict(the_scenario(client, token))
    with real(database_url) as (real_client, real_token):
        answered = dict(the_scenario(real_client, real_token))

    assert len(answered) > 20
    for step, answer in answered.items():
        assert faked[step] == answer, step


def test_the_device_limit_ends_the_oldest_in_both(database_url: str) -> None:
    client, token = in_memory()
    with real(database_url) as (real_client, real_token):
        for one, new in ((client, token), (real_client, real_token)):
            tokens = [new() for _ in range(4)]
            bodies = [b'{"device_fingerprint": "%d"}' % number for number in range(4)]
            created = [
                one.forward(forwarded("POST", "create", given, ("application/json", body)))
                for given, body in zip(tokens, bodies, strict=True)
            ]
            assert [len(answer.json["evicted"]) for answer in created] == [0, 0, 0, 1]
            with pytest.raises(Refused) as refused:
                one.check(caller(tokens[0]))
            assert refused.value.answer.problem["end_reason"] == "limit"


def test_a_service_in_memory_that_is_down_is_as_one_that_cannot_be_reached() -> None:
    service = FakeService()
    service.is_down = True
    for client in (service.client(), SessionClient(Options(url="http://127.0.0.1:9"))):
        with pytest.raises(ServiceUnavailable):
            client.check(caller("x"))
        client.close()
