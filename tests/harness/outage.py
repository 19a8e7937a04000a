"""What a test of an outage needs: a network that can be broken, callers who go on, and a judge of what they saw."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Literal, NamedTuple

import urllib3

from tests.harness.postgres import PostgresServer
from tests.harness.processes import wait_until
from tests.harness.reports import note
from tests.harness.support import CHROME, make_token

MOST_SECONDS = 3.0
"""Within which every request ends, whatever happens to the database."""
SOON_SECONDS = 1.0
"""Within which the first good answer comes once it is over, and `/readyz` always answers."""
HEALTH_SECONDS = 0.1
USUALLY = 0.9
"""The part of the time in which a health check must be as fast as that: a busy machine may delay one."""
SELDOM = 0.05
"""The part of the calls that a busy machine may let meet no free connection, with no outage at all."""
SLACK = 0.5
"""What a busy machine adds to any of these."""
PATIENCE = 8.0
"""After which a caller gives up. What takes longer than `MOST_SECONDS` is a fault long before."""
PAUSE_SECONDS = 0.1
"""Between two calls of one caller: the machine is to have time left, or all that is measured is its lack."""


class Proxy:
    """A TCP proxy in front of a server, which passes on, delays, swallows, or cuts."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.mode: Literal["pass", "delay", "delay answers", "swallow"] = "pass"
        self.delay = 0.0
        self.round_trips = 0
        """How often a client sent something after an answer, all connections together."""
        self._connect = connect
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection that there is."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections, and break those that there are."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            answered = threading.Event()
            answered.set()
            for source, target in ((client, server), (server, client)):
                asks = source is client
                threading.Thread(target=self._pump, args=(source, target, answered, asks), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answered: threading.Event, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if asks and answered.is_set():
                    answered.clear()
                    self.round_trips += 1
                if self.mode == "delay" or (self.mode == "delay answers" and not asks):
                    sleep(self.delay)
                if not asks:
                    answered.set()
                if self.mode != "swallow":
                    target.sendall(data)
        for one in (source, target):
            self._open.discard(one)
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Call(NamedTuple):
    """One call and what came of it."""

    began: float
    seconds: float
    status: int
    """0 where no answer came at all."""
    code: str | None
    retry_after: str | None

    @property
    def ended(self) -> float:
        return self.began + self.seconds


@dataclass
class Seen:
    """What the callers saw of an outage."""

    callers: int
    calls: list[Call] = field(default_factory=list)
    health: list[Call] = field(default_factory=list)
    ready: list[Call] = field(default_factory=list)
    broke: float = 0.0
    """When the outage began, by the monotonic clock, and when it was over."""
    mended: float = 0.0

    def first_good(self) -> float:
        """Return after how many seconds from the end of the outage the first good answer came."""
        good = [call.ended - self.mended for call in self.calls if call.ended > self.mended and call.status < 300]
        return min(good, default=PATIENCE)

    def faults(self, *, answers_throughout: bool = False) -> set[str]:
        """Return what was not as promised.

        Args:
            answers_throughout: there is no outage for these callers; otherwise 503 is expected in the middle of it.
        """
        refused = {(call.status, call.code, call.retry_after) for call in self.calls if call.status >= 300}
        middle = [one for one in self.ready if self.broke + SOON_SECONDS < one.began < self.mended - SOON_SECONDS]
        slow = [one for one in self.health if one.status != 200 or one.seconds > HEALTH_SECONDS + SLACK / 2]
        late = self.late()
        found = {
            "no answer": any(call.status == 0 for call in self.calls),
            "too slow": any(call.seconds > MOST_SECONDS + SLACK for call in self.calls),
            "another refusal": bool(refused - {(503, "database_unavailable", "1"), (0, None, None)}),
            "health": sum(one.seconds for one in slow) > (self.health[-1].ended - self.health[0].began) * (1 - USUALLY),
            "ready too slow": any(one.seconds > SOON_SECONDS + SLACK for one in self.ready),
            "ready in the middle": not answers_throughout and any(one.status == 200 for one in middle),
            "not noticed": not answers_throughout and not refused,
            "recovers late": self.first_good() > SOON_SECONDS + SLACK,
            "remembers": sum(call.status != 200 for call in late) >= max(len(late) * SELDOM, 1),
        }
        return {name for name, is_so in found.items() if is_so}

    def late(self) -> list[Call]:
        """Return the calls that began when everything must be as before again."""
        return [call for call in self.calls if call.began > self.mended + SOON_SECONDS + SLACK]

    def report(self) -> None:
        refused = sum(call.status == 503 for call in self.calls)
        times = sorted(one.seconds for one in self.health)
        note(
            f"{len(self.calls)} calls, {refused} refused, the longest wait {max(c.seconds for c in self.calls):.2f} s;"
            f" {len(times)} health checks, 90 % within {times[int(len(times) * 0.9)] * 1_000:.0f} ms, the slowest"
            f" {times[-1] * 1_000:.0f} ms; readiness within {max(one.seconds for one in self.ready):.2f} s;"
            f" first good answer {self.first_good():.2f} s after the end"
        )


@contextmanager
def calling(url: str, callers: int = 20) -> Iterator[Seen]:
    """Keep validating sessions, signing in, and checking health, until the test is done."""
    seen, done = Seen(callers), threading.Event()
    tokens = [make_token(user_id, n=user_id) for user_id in range(1, callers + 1)]
    for token in tokens:
        assert _call(url, "POST", "/sessions/create", token).status == 201

    def work(number: int) -> None:
        asks = [("GET", "/sessions/validate"), ("GET", "/sessions/my-sessions"), ("POST", "/sessions/update-activity")]
        while not done.is_set():
            method, path = asks[number % len(asks)]
            call = _call(url, method, path, tokens[number])
            seen.calls.append(call)
            done.wait(PAUSE_SECONDS)

    def watch(path: str, calls: list[Call], pause: float) -> None:
        while not done.wait(pause):
            calls.append(_call(url, "GET", path))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(callers)]
    threads.append(threading.Thread(target=watch, args=("/healthz", seen.health, 0.05)))
    threads.append(threading.Thread(target=watch, args=("/readyz", seen.ready, 0.25)))
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()
    seen.report()


def suffer(seen: Seen, begin: Callable[[], object], end: Callable[[], object], seconds: float = 5.0) -> None:
    """Let the callers meet an outage of so many seconds, in the midst of their work, and some calls after it."""
    wait_until(lambda: len(seen.calls) >= 2 * seen.callers, "all callers are at work")
    seen.broke = monotonic()
    begin()
    sleep(seconds)
    end()
    seen.mended = monotonic()
    # Several calls of each caller, or what there is of them if the service does not answer again.
    while len(seen.late()) < 5 * seen.callers and monotonic() < seen.mended + 2 * PATIENCE:
        sleep(0.05)


_local = threading.local()


def _call(url: str, method: str, path: str, token: str | None = None) -> Call:
    pool = _local.__dict__.setdefault(url, urllib3.PoolManager(retries=False, timeout=PATIENCE))
    headers = {"User-Agent": CHROME, **({"Authorization": f"Bearer {token}"} if token else {})}
    began = monotonic()
    try:
        answer = pool.request(method, url + path, headers=headers)
    except urllib3.exceptions.HTTPError:
        return Call(began, monotonic() - began, 0, None, None)
    seconds = monotonic() - began
    code = answer.json().get("code") if answer.status >= 300 else None
    return Call(began, seconds, answer.status, code, answer.headers.get("Retry-After"))


@contextmanager
def proxied(server: PostgresServer) -> Iterator[tuple[Proxy, str]]:
    """Give a proxy in front of *server*, and the URL by which the service goes through it."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{server.folder}/.s.PGSQL.5432")
        return connection

    with closing(Proxy(connect)) as proxy:
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
