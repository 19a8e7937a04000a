"""Bytes that no client library would send, over raw sockets to a real gunicorn."""

import json
import socket
from collections.abc import Callable
from time import monotonic

import pytest

from tests.harness.processes import address_of, exchange
from tests.harness.support import make_token

HEAD = f"Host: x\r\nAuthorization: Bearer {make_token()}\r\nContent-Type: application/json\r\n"


@pytest.fixture
def address(database_url: str, start_service: Callable[[str], str]) -> tuple[str, int]:
    """Return where a gunicorn listens, on a database without rows."""
    return address_of(start_service(database_url))


BODIES = {
    "a chunk size that is no number": "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunks that end early": "Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "no last chunk": "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a length that is too long": "Content-Length: 900\r\n\r\n{}",
    "chunks over 16 kB": "Transfer-Encoding: chunked\r\n\r\n5000\r\n" + "x" * 0x5000 + "\r\n0\r\n\r\n",
    "a negative length": "Content-Length: -1\r\n\r\n{}",
    "two lengths": "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a length and chunks": "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
}


def test_chunks_over_16_kb_are_refused_though_their_beginning_is_json(address: tuple[str, int]) -> None:
    padded = "{}" + " " * 16_382 + "x" * 20_000
    answer = exchange(
        address,
        f"POST /sessions/create HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n"
        f"{len(padded):x}\r\n{padded}\r\n0\r\n\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 413 "), answer[:200]
    assert b"body_too_large" in answer


def test_an_answer_does_not_wait_for_a_body_that_never_comes(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=3) as connection:
        connection.sendall(b"POST /sessions/create HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")

        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")


def trickle(connection: socket.socket) -> bool:
    """Send a byte; return whether the other side has closed the connection."""
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("path", ["/sessions/create", "/docs"])
def test_a_trickling_body_holds_nobody_up_for_long(address: tuple[str, int], path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n".encode()
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 4")
        connection.settimeout(0.2)
        started, closed = monotonic(), False
        while not closed and monotonic() - started < 10:
            closed = trickle(connection)
        assert closed, "it was read for as long as somebody sent"


@pytest.mark.parametrize("name", ["/nope", "/sessions", "//evil.example.com"])
def test_no_header_says_where_the_application_is_mounted(address: tuple[str, int], name: str) -> None:
    rest = f"Host: x\r\nSCRIPT_NAME: {name}\r\nConnection: close\r\n\r\n"

    assert exchange(address, f"GET /healthz HTTP/1.1\r\n{rest}").startswith(b"HTTP/1.1 200 ")
    assert exchange(address, f"GET {name}/healthz HTTP/1.1\r\n{rest}").startswith(b"HTTP/1.1 404 ")


def test_bodies_that_lie_about_themselves_are_the_clients_fault(address: tuple[str, int]) -> None:
    for name, body in BODIES.items():
        answer = exchange(address, f"POST /sessions/create HTTP/1.1\r\n{HEAD}{body}")

        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (name, answer[:200])
    listed = exchange(address, f"GET /sessions/my-sessions HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n")
    assert listed.rstrip().endswith(b"\r\n\r\n[]"), "a refused call must not have signed anybody in"


UNREADABLE = {
    "no HTTP": ("GARBAGE\r\n\r\n", 400, "bad_request"),
    "a header with a token and without a name": (
        f"GET / HTTP/1.1\r\nHost: x\r\n{make_token()}\r\n\r\n",
        400,
        "bad_request",
    ),
    "an unknown transfer coding": ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "bad_request"),
    "a long line": (f"GET /{'a' * 5_000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
    "a large header": (f"GET / HTTP/1.1\r\nHost: x\r\nX: {'a' * 9_000}\r\n\r\n", 431, "headers_too_large"),
    "an expectation": ("GET / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n\r\n", 417, "expectation_failed"),
}


def test_what_the_worker_answers_by_itself_is_a_problem_document_too(address: tuple[str, int]) -> None:
    ids = set()
    for name, (request, status, code) in UNREADABLE.items():
        head, _, body = exchange(address, request).partition(b"\r\n\r\n")
        headers, problem = head.decode().split("\r\n"), json.loads(body)

        assert headers[0].startswith(f"HTTP/1.1 {status} "), name
        assert {"Content-Type: application/problem+json", "Cache-Control: no-store"} <= set(headers), name
        assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank"), name
        assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id"}, name
        assert f"X-Request-ID: {problem['request_id']}" in headers, name
        ids.add(problem["request_id"])
    assert len(ids) == len(UNREADABLE)
