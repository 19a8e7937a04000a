"""gunicorn's threaded worker, saying less, with no thread for connections on which nothing is said, and one for health.

What it cannot read it answers in our shape, and logs without its content: gunicorn itself writes a malformed header
into the log and into its answer as it came, tokens included, answers an unknown transfer coding with 501, and logs
the query string of a request that fails.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from socket import MSG_DONTWAIT, MSG_PEEK, socket
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from session_service import metrics

_STATUS: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
MOST_WAITING = 64
"""Connections that the kernel may have taken, and that a stopping worker still takes over."""

_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
"""Headers that the application tried to send."""


class Worker(ThreadWorker):
    """gunicorn's `gthread`, but for new connections, health checks, and requests that cannot be read."""

    sockets: list[Any]
    """Where it listens; gunicorn's wrappers around sockets."""

    def accept(self, listener: socket) -> None:
        """Take a new connection, and wait for its first byte beside all others: a thread would wait 5 seconds."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was faster, or the client has gone
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.set_timeout()
        self.pending_conns.append(connection)
        self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def init_process(self) -> None:
        """Have a thread for health checks alone: they must not stand in a line with what waits for the database."""
        self._health = ThreadPoolExecutor(max_workers=1)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Give a request to a thread."""
        if not _is_health_check(conn.sock):
            super().enqueue_req(conn)
            return
        handled = self._health.submit(self.handle, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take connections or not; of a worker that stops, the place where it listens is closed at once.

        Otherwise the kernel would go on to take connections there, and drop them with what was sent when it ends.
        """
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                for _ in range(MOST_WAITING):
                    self.accept(listener)
                listener.close()
            self.sockets = []  # once: a worker that had too many connections when it was stopped comes here twice

    def handle_error(self, _req: object, client: Any, _addr: object, exc: Exception) -> None:
        """Answer a request that was no HTTP, or that the application did not survive, and close the connection."""
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OURS):
            status = _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            metrics.unreadable_requests.inc()
            self.log.warning("a request could not be read: %s", type(exc).__name__)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("a request was not answered", exc_info=exc)
        with suppress(OSError):  # whoever sent it is gone
            util.write_nonblock(client, _answer(status))


def _is_health_check(client: socket) -> bool:
    """Return whether a whole request for `/healthz` has arrived: nobody holds that thread by sending a part of one."""
    try:
        head = client.recv(2_048, MSG_PEEK | MSG_DONTWAIT)
    except OSError:
        return False
    return head.startswith((b"GET /healthz ", b"HEAD /healthz ")) and b"\r\n\r\n" in head


def _answer(status: HTTPStatus) -> bytes:
    problem = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": status.description}
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
