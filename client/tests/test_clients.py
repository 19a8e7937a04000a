"""What both clients do alike, with a service that answers as it should."""

from collections.abc import Callable

import pytest
from stub import Driven, StubHandler, StubServer, caller, driven, outcome, remembering, wait_until

from session_client import Caller, Ended, Refused, ServiceUnavailable, SessionEnded, TokenRefused

VALIDATE, FEED = "/sessions/validate", "/sessions/feed"


def test_a_yes_is_asked_for_once_and_an_end_is_told_by_the_feed(client: Driven, server: StubServer) -> None:
    token = server.service.sign_in(74)
    remembering(client, server, token)
    asked = server.calls[VALIDATE]

    assert [outcome(client, token) for _ in range(100)] == [1] * 100
    assert server.calls[VALIDATE] == asked
    server.service.end(server.service.session_of(token))

    wait_until(lambda: outcome(client, token) == "revoked", "the end is known")
    with pytest.raises(SessionEnded) as refused:
        client.check(caller(token))
    assert (refused.value.reason, refused.value.answer.status) == ("revoked", 401)
    assert refused.value.answer.passed_on["X-Session-Code"] == "session_ended"
    assert "signed out" in refused.value.detail


def test_another_user_agent_or_address_is_asked_about(client: Driven, server: StubServer) -> None:
    token = server.service.sign_in(74)
    remembering(client, server, token)

    for other in (caller(token, "Chrome"), caller(token)._replace(forwarded_for="192.0.2.2")):
        asked = server.calls[VALIDATE]
        client.check(other)
        assert server.calls[VALIDATE] == asked + 1


def test_a_no_is_asked_for_each_time(client: Driven, server: StubServer) -> None:
    remembering(client, server, server.service.sign_in(74))
    asked = server.calls[VALIDATE]

    for _ in range(3):
        with pytest.raises(TokenRefused) as refused:
            client.check(caller("no token"))
        assert refused.value.code == "token_invalid"
    with pytest.raises(TokenRefused) as missing:
        client.check(Caller(None, None, None))

    assert missing.value.code == "token_missing"
    assert server.calls[VALIDATE] == asked + 4


def test_an_end_that_is_told_while_the_answer_is_under_way_wins(client: Driven, server: StubServer) -> None:
    """The service says yes; before its answer leaves, the session ends, and the feed has told it."""
    first, token = server.service.sign_in(1), server.service.sign_in(74)
    remembering(client, server, first)

    def answer_late(handler: StubHandler) -> None:
        response = handler.ask_the_service()
        del server.instead[VALIDATE]
        server.service.end(server.service.session_of(token))
        polls = server.calls[FEED]
        wait_until(lambda: server.calls[FEED] >= polls + 2, "the feed has told it")
        handler.send(response.status_code, b"".join(response.iter_raw()), dict(response.headers))

    server.instead[VALIDATE] = answer_late
    assert outcome(client, token) == "revoked"


def test_without_credentials_or_with_remember_off_each_request_is_asked_about(kind: str, server: StubServer) -> None:
    token = server.service.sign_in(74)

    for options in ({"credentials": None}, {"remember": False}):
        with driven(kind, server, **options) as client:
            asked = server.calls[VALIDATE]
            assert [outcome(client, token) for _ in range(5)] == [1] * 5
            assert server.calls[VALIDATE] == asked + 5
    assert server.calls[FEED] == 0


def test_the_backends_own_ends_count_in_its_process_at_once(client: Driven, server: StubServer) -> None:
    """The feed would tell them up to half a lease later."""
    ends: list[Callable[[str], Ended]] = [lambda token: client.end(caller(token)), lambda _token: client.end_user(74)]
    for end in ends:
        token = server.service.sign_in(74)
        remembering(client, server, token)
        assert end(token).closed == 1
        assert outcome(client, token) in {"logout", "admin"}
    with pytest.raises(Refused) as refused:
        client.end_user(74, because="whatever") and client.end(caller("x"))
    assert refused.value.code == "token_invalid"


def test_the_sessions_that_a_sign_in_evicts_are_forgotten_at_once(client: Driven, server: StubServer) -> None:
    server.service.max_sessions = 1
    token = server.service.sign_in(74)
    remembering(client, server, token)

    created = client.create(caller(server.service.token(74)))

    assert [one["id"] for one in created["evicted"]] == [1]
    assert outcome(client, token) == "limit"


def test_a_position_that_is_gone_begins_anew(client: Driven, server: StubServer) -> None:
    token = server.service.sign_in(74)
    remembering(client, server, token)

    def gone(handler: StubHandler) -> None:
        if "after=" in handler.path:
            handler.send(410, b'{"code": "feed_position_gone"}')
        else:
            handler.answer_as_the_service()

    server.instead[FEED] = gone
    asked = server.calls[VALIDATE]
    wait_until(lambda: outcome(client, token) == 1 and server.calls[VALIDATE] > asked, "forgotten")
    del server.instead[FEED]
    remembering(client, server, token)


def test_an_outage_is_bridged_only_for_reading_and_only_where_that_is_asked_for(kind: str, server: StubServer) -> None:
    with driven(kind, server, on_outage="remembered", outage_seconds=2.0) as client:
        token, other = server.service.sign_in(74), server.service.sign_in(75)
        remembering(client, server, token)
        server.service.is_down = True  # the connection breaks without an answer
        wait_until(lambda: not client.is_remembering, "the lease is over")

        assert outcome(client, token) == "unavailable"
        assert outcome(client, token, reading=True) == 1
        assert outcome(client, token, reading=True, on_outage="refuse") == "unavailable"
        assert outcome(client, other, reading=True) == "unavailable"
        wait_until(lambda: outcome(client, token, reading=True) == "unavailable", "outage_seconds are over")

        server.service.is_down = False
        assert outcome(client, token) == 1


def test_a_closed_client_calls_nothing_and_starts_nothing(server: StubServer) -> None:
    token = server.service.sign_in(74)
    with driven("threads", server) as client:
        remembering(client, server, token)
    calls = server.calls.total()

    client.close()
    client.start()
    assert outcome(client, token) == "unavailable"
    assert server.calls.total() == calls


def test_a_call_without_credentials_is_an_error_of_the_program(kind: str, server: StubServer) -> None:
    with driven(kind, server, credentials=None) as client, pytest.raises(ValueError, match="credentials"):
        client.end_user(74)


def test_nothing_that_is_unavailable_shows_the_token(kind: str) -> None:
    with driven(kind, "http://127.0.0.1:9", credentials=None) as client, pytest.raises(ServiceUnavailable) as error:
        client.check(caller("secret-token"))
    assert "secret-token" not in repr(error.value)
    assert error.value.answer.passed_on["Retry-After"] == "1"
