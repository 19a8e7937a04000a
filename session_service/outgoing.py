"""Calls to the auth server: bounded in time and size, over connections that are used again.

No redirect is followed: it would carry the caller's token, or our trust, to a place that nobody configured.
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
from session_service.errors import AuthServerUnavailable
from session_service.places import NoPlace, Places

DEADLINE_SECONDS = 2.0
"""For a whole call, from the first byte out to the last one in."""

CONNECT_SECONDS = 1.0
"""For each address that the host's name has; looking that up comes on top."""

MAX_AT_ONCE = 4
"""Threads of one process that may wait for the auth server: one that hangs must not take all of them along."""

PATIENCE_SECONDS = 0.25
"""How long a thread waits for one of these places, while the auth server answers."""


@dataclass(frozen=True)
class Answer:
    """What the auth server answered."""

    status: int
    body: bytes | None
    """None where there is more of it than the caller wanted."""


class AuthServer:
    """A pool of connections to the auth server."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=MAX_AT_ONCE, retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=DEADLINE_SECONDS)
        )
        self._pool.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        self._places = Places(MAX_AT_ONCE, patience=PATIENCE_SECONDS, longest=PATIENCE_SECONDS)
        self.answers: bool | None = None
        """Whether the last call was answered, with whatever status; None before the first."""

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for threads that wait for the auth server, for a call or for somebody else's.

        Raises:
            AuthServerUnavailable: all are taken.
        """
        try:
            with self._places.one():
                yield
        except NoPlace as error:
            metrics.auth_server_calls.labels("refused").inc()
            raise AuthServerUnavailable(retry_after=1) from error

    def get(self, url: str, *, bearer: str | None = None, most_bytes: int) -> Answer:
        """Return the answer to a GET of *url*, whatever its status.

        Raises:
            AuthServerUnavailable: no answer in time.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        try:
            with _deadline() as is_over:
                answer = self._get(url, headers, most_bytes, is_over)
        # A thread that cannot be started is a RuntimeError; an address that cannot be one is a ValueError.
        except (urllib3.exceptions.HTTPError, OSError, ValueError, RuntimeError) as error:
            self._note(answers=False)
            raise AuthServerUnavailable(retry_after=1) from error
        # A body without an announced length that was cut off looks like a whole one.
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
            # The server may just have closed a connection that it had kept; the second try takes another one.
            return self._get_once(url, headers, most_bytes)

    def _get_once(self, url: str, headers: dict[str, str], most_bytes: int) -> Answer:
        answer = self._pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        return Answer(answer.status, _read(answer, most_bytes))


def _read(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> bytes | None:
    body = b""
    for piece in answer.stream(8_192, decode_content=False):
        body += piece
        if len(body) > most_bytes:
            # What is left unread would be taken for the next answer if the connection went back to the pool.
            answer.close()
            return None
    return body


# A socket's time limit is one for each packet, and a server may send a byte a second: a call as a whole is
# ended from outside, by shutting down the socket of the connection that this thread uses.

_thread = local()


class _Noted:
    """A connection that leaves word of the socket that this thread waits for."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)  # type: ignore[misc]
        # Now, for where the server does not keep the connection it is out of sight as soon as the answer begins.
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
    """End what this thread waits for when the time is over; the event that is given says whether it was."""
    place, done, is_over = _thread.__dict__, Event(), Event()
    place["sock"] = None

    def watch() -> None:
        pause = DEADLINE_SECONDS
        while not done.wait(pause):
            is_over.set()
            pause = 0.05
            if place["sock"] is not None:
                _shut_down(place["sock"])

    Thread(target=watch, daemon=True).start()
    try:
        yield is_over
    finally:
        done.set()


def _shut_down(sock: Any) -> None:
    try:
        sock.shutdown(SHUT_RDWR)
    except OSError:
        return  # it is closed by now
