"""Services that answer late, slowly, too much, or not at all: every call ends in time, and nothing is said too long."""

import os
import socket
import threading
from collections.abc import Callable
from time import monotonic, sleep

import pytest
from stub import Driven, StubHandler, StubServer, caller, driven, outcome, remembering, wait_until

from session_client import ServiceUnavailable

VALIDATE, FEED = "/sessions/validate", "/sessions/feed"
LIMIT = 0.5
"""Of a call, in these tests."""
SLACK = 10.0
"""A busy machine's; a server that keeps a caller waiting does so for six times as long."""


def says_nothing(handler: StubHandler) -> None:
    handler.server.released.wait(60)  # type: ignore[attr-defined]


def drips(handler: StubHandler) -> None:
    """Send a byte of the head every now and then, and never all of it."""
    for _ in range(1_200):
        handler.wfile.write(b"H")
        handler.wfile.flush()
        if handler.server.released.wait(0.05):  # type: ignore[attr-defined]
            return


def drips_its_body(handler: StubHandler) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    drips(handler)


def sends_10_mb(handler: StubHandler) -> None:
    handler.send(200, b'{"events": [], "position": "x", "complete": true, "lease_seconds": 60, "x": "' + b"x" * 10**7)


def sends_10_mb_without_a_length(handler: StubHandler) -> None:
    handler.send_response_only(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")


def sends_no_http(handler: StubHandler) -> None:
    handler.wfile.write(b"\x00\x01\x02" * 100 + b"\r\n\r\n")
    handler.close_connection = True


def hangs_up(handler: StubHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def sends(status: int, body: bytes, **headers: str) -> Callable[[StubHandler], None]:
    return lambda handler: handler.send(status, body, headers)


UNUSABLE = {
    "says nothing": says_nothing,
    "drips": drips,
    "drips its body": drips_its_body,
    "10 MB": sends_10_mb,
    "10 MB without a length": sends_10_mb_without_a_length,
    "no HTTP": sends_no_http,
    "hangs up": hangs_up,
    "500": sends(500, b"{}"),
    "503": sends(503, b"{}"),
    "redirect": sends(302, b"", Location="/sessions/validate"),
    "404": sends(404, b"{}"),
    "empty": sends(200, b""),
    "rubbish": sends(200, b"<html>"),
    "nested": sends(200, b"[" * 100_000),
    "no": sends(200, b'{"active": false, "user_id": 74, "session_id": 1}'),
    "true-ish": sends(200, b'{"active": 1, "user_id": 74, "session_id": 1}'),
    "no user": sends(200, b'{"active": true, "session_id": 1}'),
    "a user that is true": sends(200, b'{"active": true, "user_id": true, "session_id": 1}'),
    "a session that is a text": sends(200, b'{"active": true, "user_id": 74, "session_id": "1"}'),
    "compressed": sends(200, b"x", **{"Content-Encoding": "gzip"}),
}


@pytest.fixture(autouse=True)
def released(server: StubServer) -> threading.Event:
    """Let handlers that wait end with the test."""
    event = threading.Event()
    server.released = event  # type: ignore[attr-defined]
    return event


@pytest.mark.parametrize("how", UNUSABLE)
def test_an_unusable_answer_is_neither_yes_nor_no_and_never_late(kind: str, server: StubServer, how: str) -> None:
    token = server.service.sign_in(74)
    with driven(kind, server, timeout_seconds=LIMIT, remember=False) as client:
        server.instead[VALIDATE] = UNUSABLE[how]
        began = monotonic()
        assert outcome(client, token) == "unavailable"
        assert monotonic() - began < LIMIT + SLACK
        del server.instead[VALIDATE]
        assert outcome(client, token) == 1
        server.released.set()  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["says nothing", "drips", "10 MB", "no HTTP", "hangs up", "503", "rubbish", "404"])
def test_an_unusable_feed_lets_the_lease_run_out_and_no_request_is_late(
    kind: str, server: StubServer, how: str
) -> None:
    token = server.service.sign_in(74)
    with driven(kind, server, timeout_seconds=LIMIT) as client:
        remembering(client, server, token)
        server.instead[FEED] = UNUSABLE[how]
        wait_until(lambda: not client.is_remembering, "the lease is over")
        server.service.end(server.service.session_of(token))

        found = []
        while "revoked" not in found:
            began = monotonic()
            found.append(outcome(client, token))  # unavailable, if the machine was busy
            assert monotonic() - began < LIMIT + SLACK
        assert 1 not in found
        server.released.set()  # type: ignore[attr-defined]


def test_closing_does_not_wait_for_a_feed_that_says_nothing(kind: str, server: StubServer) -> None:
    with driven(kind, server, timeout_seconds=30.0) as client:
        server.instead[FEED] = says_nothing
        client.start()
        wait_until(lambda: server.calls[FEED] == 1, "the feed is asked")
        began = monotonic()
        client.close() if kind == "threads" else None
    assert monotonic() - began < SLACK
    server.released.set()  # type: ignore[attr-defined]


def test_a_connection_that_the_service_has_just_closed_costs_a_get_nothing(kind: str, server: StubServer) -> None:
    token = server.service.sign_in(74)
    with driven(kind, server, remember=False) as client:
        assert outcome(client, token) == 1

        def closes(handler: StubHandler) -> None:
            del server.instead[VALIDATE]
            hangs_up(handler)

        server.instead[VALIDATE] = closes
        assert outcome(client, token) == 1


def test_a_change_is_never_sent_twice(kind: str, server: StubServer) -> None:
    with driven(kind, server, remember=False) as client:
        server.instead["/sessions/create"] = hangs_up
        with pytest.raises(ServiceUnavailable):
            client.create(caller(server.service.token(74)))
    assert server.calls["/sessions/create"] == 1


def test_a_host_that_does_not_answer_is_given_up_in_time(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        port = listener.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with driven(kind, f"http://127.0.0.1:{port}", timeout_seconds=LIMIT, connect_seconds=0.2) as client:
            began = monotonic()
            assert outcome(client, "x") == "unavailable"
            assert monotonic() - began < LIMIT + SLACK
        for one in filling:
            one.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_after_a_fork_the_child_begins_anew_and_the_parent_goes_on(server: StubServer) -> None:
    with driven("threads", server) as client:
        token = server.service.sign_in(74)
        remembering(client, server, token)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                was_empty = len(client._memory) == 0  # type: ignore[attr-defined]
                remembering(client, server, token)  # the counts are the child's: it cannot see the server's
                deadline = monotonic() + 10
                while not client.is_remembering and monotonic() < deadline:
                    sleep(0.01)
                if was_empty and client.is_remembering and outcome(client, token) == 1:
                    client.close()
                    code = 0
            finally:
                os._exit(code)
        for _ in range(50):
            assert outcome(client, token) == 1
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        remembering(client, server, token)


def test_a_client_made_before_a_thread_runs_is_safe_to_share(client: Driven, server: StubServer) -> None:
    token = server.service.sign_in(74)
    found: list[int | str] = []
    threads = [
        threading.Thread(target=lambda: found.extend(outcome(client, token) for _ in range(200))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [1] * 1_600
    assert sum(thread.name == "session-client-feed" for thread in threading.enumerate()) <= 1
