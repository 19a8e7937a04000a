"""Builds requests, and sends them over 16 connections, each as fast as they are answered.

The connections belong to the measuring process. Its processor time is not part of any result.
"""

import json
import re
import selectors
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter

CONNECTIONS = 16
SECONDS_TO_ANSWER = 30
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class UnexpectedAnswer(Exception):
    """A server gave another answer than the measured one; the cost of errors would be meaningless."""


@dataclass(frozen=True)
class Sent:
    """The requests, all answered as expected: how long each answer took, and all of them together."""

    latencies: Sequence[float]
    """Seconds from a request's first byte sent to its answer's last byte read; in ascending order."""
    seconds: float

    @property
    def requests(self) -> int:
        return len(self.latencies)

    def latency(self, share: float) -> float:
        """Return the latency that *share* of the answers did not exceed (nearest rank)."""
        return self.latencies[max(ceil(share * len(self.latencies)) - 1, 0)]


def request(method: str, path: str, credentials: str, user_agent: str, body: object = None) -> bytes:
    """Return a request with *credentials*, a whole header, and with *body* as JSON unless it is None."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", credentials, f"User-Agent: {user_agent}", "Accept: */*"]
    content = b"" if body is None else json.dumps(body).encode()
    if content:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", ""]).encode() + content


def send(
    address: tuple[str, int],
    requests: Iterator[bytes],
    *,
    expected: int,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Sent:
    """Send *requests* over concurrent keep-alive connections, until *seconds* have passed or no request is left.

    Raises:
        UnexpectedAnswer: an answer with another status than *expected*, or none.
    """
    latencies: list[float] = []
    began = perf_counter()
    deadline = began + seconds
    with selectors.DefaultSelector() as waiting:
        callers = [_Caller(address) for _ in range(connections)]
        try:
            for caller in callers:
                if caller.send(next(requests, None)):
                    waiting.register(caller.connection, selectors.EVENT_READ, caller)
            while waiting.get_map():
                for key, _ in waiting.select(SECONDS_TO_ANSWER) or _give_up():
                    if not key.data.has_answer(expected):
                        continue
                    now = perf_counter()
                    latencies.append(now - key.data.sent_at)
                    if now > deadline or not key.data.send(next(requests, None)):
                        waiting.unregister(key.fileobj)
            return Sent(sorted(latencies), perf_counter() - began)
        finally:
            for caller in callers:
                caller.connection.close()


class _Caller:
    """One connection with at most one unanswered request."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = socket.create_connection(address, timeout=SECONDS_TO_ANSWER)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""

    def send(self, message: bytes | None) -> bool:
        """Send *message* unless it is None; return whether it was sent."""
        if message is not None:
            self.sent_at = perf_counter()
            self.connection.sendall(message)
        return message is not None

    def has_answer(self, expected: int) -> bool:
        """Read the received bytes; return whether the answer is complete.

        Raises:
            UnexpectedAnswer: another status than *expected*, no length, or a closed connection.
        """
        piece = self.connection.recv(65_536)
        self._received += piece
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head) if end else None
        if not piece or (end and (length is None or not head.startswith(f"HTTP/1.1 {expected} ".encode()))):
            raise UnexpectedAnswer(f"expected {expected}, got: {self._received.decode('latin-1') or 'nothing'}")
        if length is None or len(body) < int(length[1]):
            return False
        self._received = b""
        return True


def _give_up() -> list[tuple[selectors.SelectorKey, int]]:
    raise UnexpectedAnswer(f"no answer within {SECONDS_TO_ANSWER} s")
