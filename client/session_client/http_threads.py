"""HTTP for threads, with a deadline for a whole call, and sockets that another thread can shut.

HTTPX limits each wait for more bytes, so a server that sends one byte at a time is never too late. Here each wait is
limited by what is left of the call. The name of the service is looked up without a limit of ours: the resolver has its
own.
"""

import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from session_client import clock
from session_client.http_calls import (
    KEPT_ALIVE_SECONDS,
    MOST_ANSWER_BYTES,
    MOST_CONNECTIONS,
    MOST_KEPT_ALIVE,
    too_large,
)

_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.TimeoutException, httpx.ReadTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.NetworkError, httpx.ReadError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.LocalProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
)


class DeadlineTransport(httpx.BaseTransport):
    """A pool of connections. A request's extension `deadline` is an instant of `clock.now`; the body is read, too."""

    def __init__(self, url: str) -> None:
        """Connect to the service when the first request comes."""
        self._backend = _Backend()
        self._pool = httpcore.ConnectionPool(
            # Without TLS no certificates are loaded, which takes longer than anything else here.
            ssl_context=ssl.create_default_context() if url.startswith("https:") else None,
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_KEPT_ALIVE,
            keepalive_expiry=KEPT_ALIVE_SECONDS,
            network_backend=self._backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the answer.

        Raises:
            httpx.TransportError: there is no answer, or not in time.
            httpx.DecodingError: it is too large.
        """
        self._backend.deadlines.until = request.extensions["deadline"]
        try:
            return self._exchange(request)
        except tuple(kind for kind, _ in _ERRORS) as error:
            raise next(ours for kind, ours in _ERRORS if isinstance(error, kind))(str(error)) from error

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.content,
            extensions={"timeout": request.extensions["timeout"]},
        )
        response = self._pool.handle_request(sent)
        try:
            body = bytearray()
            for piece in _pieces(response):
                body += piece
                if len(body) > MOST_ANSWER_BYTES:
                    raise too_large()
        finally:
            response.close()
        # As a stream: HTTPX would decompress `content`.
        return httpx.Response(response.status, headers=response.headers, stream=httpx.ByteStream(bytes(body)))

    def shut(self) -> None:
        """End all calls that other threads are making."""
        self._backend.shut()

    def abandon(self) -> None:
        """Close this process's copies of the sockets, after a fork: the parent goes on using the connections.

        The pool itself is left alone: another thread may have held its lock at the fork.
        """
        self._backend.abandon()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def _pieces(response: httpcore.Response) -> Iterable[bytes]:
    stream: Iterable[bytes] = response.stream  # type: ignore[assignment]
    return stream


class _Deadlines(threading.local):
    """Until when the call of the current thread may wait."""

    until: float = 0.0

    def left(self, timeout: float | None) -> float:
        left = self.until - clock.now()
        if left <= 0:
            raise httpcore.ReadTimeout("the call's time is over")
        return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    """Opens sockets, and knows the open ones."""

    def __init__(self) -> None:
        self.deadlines = _Deadlines()
        self._backend = httpcore.SyncBackend()
        self._open: set[_Stream] = set()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self.deadlines.left(timeout)
        return self._keep(self._backend.connect_tcp(host, port, left, local_address, socket_options))

    def _keep(self, stream: httpcore.NetworkStream) -> "_Stream":
        kept = _Stream(stream, self)
        self._open.add(kept)
        return kept

    def replace(self, old: "_Stream", stream: httpcore.NetworkStream) -> "_Stream":
        self._open.discard(old)
        return self._keep(stream)

    def discard(self, stream: "_Stream") -> None:
        self._open.discard(stream)

    def shut(self) -> None:
        for stream in list(self._open):
            try:
                stream.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                continue

    def abandon(self) -> None:
        for stream in list(self._open):
            stream.socket.close()


class _Stream(httpcore.NetworkStream):
    """A socket whose waits end with the call."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _Backend) -> None:
        self._stream, self._backend = stream, backend

    @property
    def socket(self) -> socket.socket:
        found: socket.socket = self._stream.get_extra_info("socket")
        return found

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.deadlines.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._backend.deadlines.left(timeout))

    def close(self) -> None:
        self._backend.discard(self)
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._backend.deadlines.left(timeout)
        return self._backend.replace(self, self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
