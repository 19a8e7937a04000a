"""Calls to the auth server: bounded in time and size, over a pool of connections.

No redirect is followed: it could send the caller's token, or our trust, to a host that nobody configured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import SHUT_RDWR
from threading import Event, Thread, local
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from session_service import metrics
from session_service.bulkhead import Bulkhead, BulkheadFull
from session_service.errors import AuthServerUnavailable
from session_service.limits import (
    AUTH_SERVER_CALLS,
    AUTH_SERVER_CONNECT_SECONDS,
    AUTH_SERVER_SECONDS,
    AUTH_SERVER_STALL_SECONDS,
)


@dataclass(frozen=True)
class Answer:
    """What the auth server answered."""

    status: int
    body: bytes | None
    """None if it is longer than the caller allowed."""


class AuthServerClient:
    """A pool of connections to the auth server."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=AUTH_SERVER_CALLS,
            retries=False,
            timeout=urllib3.Timeout(connect=AUTH_SERVER_CONNECT_SECONDS, read=AUTH_SERVER_SECONDS),
        )
        self._pool.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        self._bulkhead = Bulkhead(
            AUTH_SERVER_CALLS, stall_timeout=AUTH_SERVER_STALL_SECONDS, max_wait=AUTH_SERVER_STALL_SECONDS
        )
        self.answers: bool | None = None
        """Whether the last call got an answer of any status; None before the first call."""

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot of the bulkhead, to wait for a call of one's own or of another thread.

        Raises:
            AuthServerUnavailable: all slots are in use.
        """
        try:
            with self._bulkhead:
                yield
        except BulkheadFull as error:
            metrics.auth_server_calls.labels("refused").inc()
            raise AuthServerUnavailable(retry_after=1) from error

    def get(self, url: str, *, bearer: str | None = None, most_bytes: int) -> Answer:
        """Return the answer to a GET of *url*, of any status.

        Raises:
            AuthServerUnavailable: no answer in time.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        try:
            with _deadline() as is_over:
                answer = self._get(url, headers, most_bytes, is_over)
        # RuntimeError: a thread cannot be started. ValueError: the URL is not one.
        except (urllib3.exceptions.HTTPError, OSError, ValueError, RuntimeError) as error:
            self._note(answers=False)
            raise AuthServerUnavailable(retry_after=1) from error
        # A body without a Content-Length that was cut off at the deadline looks complete.
        self._note(answers=not is_over.is_set())
        if is_over.is_set():
            raise AuthServerUnavailable(retry_after=1)
        return answer

    def _note(self, *, answers: bool) -> None:
        self.answers = answers
        metrics.auth_server_calls.labels("answered" if answers else "failed").inc()

    def _get(self, url: str, headers: dict[str, str], most_bytes: int, is_over: Event) -> Answer:
        try:
            return self._get_once(url, headers, most_bytes)
        except urllib3.exceptions.ProtocolError:
            if is_over.is_set():
                raise
            # The server may just have closed a kept-alive connection; the second try takes another one.
            return self._get_once(url, headers, most_bytes)

    def _get_once(self, url: str, headers: dict[str, str], most_bytes: int) -> Answer:
        answer = self._pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        return Answer(answer.status, _read(answer, most_bytes))


def _read(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> bytes | None:
    body = b""
    for piece in answer.stream(8_192, decode_content=False):
        body += piece
        if len(body) > most_bytes:
            # The unread rest would be taken for the next answer if the connection went back to the pool.
            answer.close()
            return None
    return body


# A socket's timeout counts anew with each packet, and a server may send one byte a second. A second thread therefore
# shuts down the socket of the call at its deadline.

_thread = local()


class _Noted:
    """A connection that records the socket of this thread's call."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)  # type: ignore[misc]
        # Here, because the connection drops its socket when an answer begins that is not kept alive.
        _thread.sock = self.sock  # type: ignore[attr-defined]


class _HTTPConnection(_Noted, HTTPConnection):
    """To a server without encryption."""


class _HTTPSConnection(_Noted, HTTPSConnection):
    """To a server with encryption."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


@contextmanager
def _deadline() -> Iterator[Event]:
    """End this thread's call after `AUTH_SERVER_SECONDS`; the event says whether that happened."""
    calls, done, is_over = _thread.__dict__, Event(), Event()
    calls["sock"] = None

    def watch() -> None:
        pause = AUTH_SERVER_SECONDS
        while not done.wait(pause):
            is_over.set()
            pause = 0.05
            if calls["sock"] is not None:
                _shut_down(calls["sock"])

    Thread(target=watch, daemon=True).start()
    try:
        yield is_over
    finally:
        done.set()


def _shut_down(sock: Any) -> None:
    try:
        sock.shutdown(SHUT_RDWR)
    except OSError:
        return  # already closed
