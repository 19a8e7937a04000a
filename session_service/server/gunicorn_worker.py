"""gunicorn's threaded worker, with four changes.

- A new connection waits for its first byte in the poller, not in a thread.
- `/healthz` has a thread of its own.
- A worker that stops takes over the connections that the kernel has accepted for it.
- A request that cannot be read is answered by a problem document and logged without its content. gunicorn itself writes
  a malformed header into its log and its answer, tokens included, answers an unknown transfer coding with 501, and logs
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

from session_service import metrics, request_id

UNREADABLE: dict[HTTPStatus, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "The request is not valid HTTP."),
    HTTPStatus.REQUEST_URI_TOO_LONG: ("uri_too_long", "The request line is too long."),
    HTTPStatus.EXPECTATION_FAILED: ("expectation_failed", "The request expects something that is not supported."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ("headers_too_large", "The request's headers are too large."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("internal_error", "Something went wrong on our side. Please try again."),
}
"""`code` and `detail` of what the worker itself answers, by status."""

_STATUS: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}

MOST_WAITING = 64
"""Connections that the kernel may have accepted, and that a stopping worker takes over."""

_OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
"""Headers that the application tried to send."""


class Worker(ThreadWorker):
    """gunicorn's `gthread` with the four changes."""

    sockets: list[Any]
    """The listeners; gunicorn's wrappers around sockets."""

    def accept(self, listener: socket) -> None:
        """Accept a connection, and let the poller wait for its first byte; a thread would wait 5 seconds for it."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker accepted it, or the client has gone
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.set_timeout()
        self.pending_conns.append(connection)
        self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, connection))

    def init_process(self) -> None:
        """Add a thread for health checks: they must not queue behind requests that wait for the database."""
        self._health = ThreadPoolExecutor(max_workers=1)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Pass a request to a thread."""
        if not _is_health_check(conn.sock):
            super().enqueue_req(conn)
            return
        handled = self._health.submit(self.handle, conn)
        handled.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not. A worker that stops closes its listeners at once.

        Otherwise the kernel would go on to accept connections there, and drop them when the worker ends.
        """
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                for _ in range(MOST_WAITING):
                    self.accept(listener)
                listener.close()
            self.sockets = []  # a worker that had too many connections when it was stopped comes here twice

    def handle_error(self, _req: object, client: Any, _addr: object, exc: Exception) -> None:
        """Answer a request that is not HTTP, or that the application did not answer, and close the connection."""
        of_request = request_id.choose(None)
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OURS):
            status = _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            metrics.unreadable_requests.inc()
            fields = {"request_id": of_request, "status": status.value}
            self.log.warning("a request could not be read: %s", type(exc).__name__, extra=fields)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("a request was not answered", exc_info=exc, extra={"request_id": of_request})
        with suppress(OSError):  # the client has gone
            util.write_nonblock(client, _answer(status, of_request))


def _is_health_check(client: socket) -> bool:
    """Return whether a complete request for `/healthz` has arrived; a part of one must not occupy the thread."""
    try:
        head = client.recv(2_048, MSG_PEEK | MSG_DONTWAIT)
    except OSError:
        return False
    return head.startswith((b"GET /healthz ", b"HEAD /healthz ")) and b"\r\n\r\n" in head


def _answer(status: HTTPStatus, of_request: str) -> bytes:
    code, detail = UNREADABLE[status]
    problem = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "request_id": of_request,
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-ID: {of_request}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
