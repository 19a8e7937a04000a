"""One call to an endpoint: to a checked address, within one time limit, without redirects.

`http.client` and not urllib3, because here the socket must be known before TLS begins: a receiver that sends one byte a
second, in the handshake or in the answer's head, never reaches the time limit of a single read. A second thread
therefore shuts the socket down when the time of the call is over.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit

from session_service.webhooks.addresses import resolve
from session_service.webhooks.errors import CallFailed

MAX_ANSWER_BYTES = 4_096
"""Of the answer's body; the rest is not read."""

_TLS = ssl.create_default_context()


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, allow_private: bool) -> int:
    """Send a POST, and return the status of the answer.

    Args:
        seconds: for everything together: the name, the connection, the message and the answer.
        allow_private: whether the name may lead to addresses that are not public.

    Raises:
        CallFailed: there was no complete answer in time. `AddressRefused`: nothing was sent.
    """
    began_at = monotonic()
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    addresses = resolve(host, parts.port or (443 if is_tls else 80), allow_private=allow_private, seconds=seconds)
    with _deadline(began_at + seconds) as call:
        connection = _Connection(host, addresses, tls=is_tls, call=call, seconds=seconds)
        try:
            path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("POST", path, body, {**headers, "Host": parts.netloc, "Connection": "close"})
            answer = connection.getresponse()
            answer.read(MAX_ANSWER_BYTES)
            status = answer.status
        except (OSError, http.client.HTTPException, ValueError) as error:
            if call.is_over.is_set():
                raise CallFailed(f"no complete answer within {seconds:g} s") from error
            raise CallFailed(_in_short(error)) from error
        finally:
            connection.close()
        # An answer that was cut off at the deadline may look complete.
        if call.is_over.is_set():
            raise CallFailed(f"no complete answer within {seconds:g} s")
    return status


class _Call:
    """What the thread that watches a call needs."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.is_over = Event()


class _Connection(http.client.HTTPConnection):
    """A connection to one of the checked addresses."""

    def __init__(self, host: str, addresses: list[tuple[str, int]], *, tls: bool, call: _Call, seconds: float) -> None:
        super().__init__(host, timeout=seconds)
        self._addresses, self._tls, self._call, self._seconds = addresses, tls, call, seconds

    def connect(self) -> None:
        """Connect to the first address that accepts, and begin TLS for the host's name."""
        sock = self._connect_to_any()
        self.sock = self._call.sock = sock
        if self._tls:
            # The socket is known to the watching thread before the handshake.
            wrapped = _TLS.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._call.sock = wrapped
            wrapped.do_handshake()

    def _connect_to_any(self) -> socket.socket:
        error = OSError("no address")
        for address in self._addresses:
            if self._call.is_over.is_set():
                break
            try:
                # Each address gets a part of the time, so that a dead one does not use it up.
                sock = socket.create_connection(address, timeout=self._seconds / len(self._addresses))
            except OSError as failed:
                error = failed
            else:
                sock.settimeout(self._seconds)
                return sock
        raise error


@contextmanager
def _deadline(at: float) -> Iterator[_Call]:
    """Shut down the call's socket at an instant of the monotonic clock."""
    call, done = _Call(), Event()

    def watch() -> None:
        pause = max(at - monotonic(), 0.0)
        while not done.wait(pause):
            call.is_over.set()
            pause = 0.05
            if call.sock is not None:
                _shut_down(call.sock)

    Thread(target=watch, daemon=True).start()
    try:
        yield call
    finally:
        done.set()


def _shut_down(sock: socket.socket) -> None:
    try:
        # The plain socket's: that of an SSL socket would change an object that another thread reads with.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # already closed


def _in_short(error: Exception) -> str:
    """Return a class of failures, not the error's text: that may contain what the receiver sent."""
    match error:
        case ssl.SSLCertVerificationError():
            words = f"the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            words = f"TLS failed: {error.reason}"
        case ConnectionRefusedError():
            words = "the connection was refused"
        case TimeoutError():
            words = "no answer in time"
        case ConnectionError() | http.client.IncompleteRead():
            words = "the connection was closed before the answer was complete"
        case OSError():
            words = f"no connection: {error.strerror or type(error).__name__}"
        case _:
            words = "the answer was not HTTP"
    return words
