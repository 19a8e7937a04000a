"""Hundreds of clients that dawdle: the gateway waits for them, the service does not notice.

The detector is how long `/healthz` and `/sessions/validate` take meanwhile. What shows that it would notice: the same
clients at gunicorn itself, whose threads they hold.
"""

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from time import monotonic, sleep

import pytest
import urllib3

from tests.harness.nginx import nginx
from tests.harness.processes import address_of
from tests.harness.reports import note, require_tool
from tests.harness.servers import gunicorn
from tests.harness.support import CHROME, make_token

# What other calls take is compared with a bound in seconds.
pytestmark = pytest.mark.alone

CLIENTS = 500
SECONDS = 5
"""How long they dawdle while the others' calls are timed."""
BOUND = 2
"""No call takes longer, in seconds, on a slow machine either; a held-up one takes as long as the clients like."""

REQUEST = "GET /sessions/my-sessions HTTP/1.1\r\nHost: x\r\n"
CREATE = "POST /sessions/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
BEGINNINGS = (REQUEST, f"{REQUEST}X-Slow: ", f"{REQUEST}\r\n", CREATE, "")
"""What clients send at once: half a head, half a header, a whole request whose connection then stays, a head without
its body, and nothing. All but the whole one go on with a byte now and then."""
WHOLE = BEGINNINGS[2]


@pytest.fixture(scope="module", autouse=True)
def enough_files() -> Iterator[None]:
    """Let this process, and the servers that it starts, hold both ends of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < 4 * CLIENTS else soft, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Dawdler:
    """A client that begins a request, and then sends a byte of it now and then, until it is let go."""

    def __init__(self, address: tuple[str, int], beginning: str) -> None:
        self.is_idle = beginning == WHOLE
        self.is_gone = False
        self.connection = socket.create_connection(address, timeout=10)
        self.connection.sendall(beginning.encode())

    def go_on(self) -> None:
        try:
            if not self.is_idle:
                self.connection.sendall(b"x")
        except OSError:
            self.is_gone = True


@contextmanager
def dawdling(url: str) -> Iterator[list[Dawdler]]:
    """Have clients dawdle at a server, in turn with each of the beginnings."""
    clients: list[Dawdler] = []
    stop = threading.Event()

    def keep_on() -> None:
        while not stop.wait(1):
            for client in clients:
                client.go_on()

    try:
        for beginning in islice(cycle(BEGINNINGS), CLIENTS):
            clients.append(Dawdler(address_of(url), beginning))
        thread = threading.Thread(target=keep_on)
        thread.start()
        yield clients
        stop.set()
        thread.join()
    finally:
        stop.set()
        for client in clients:
            client.connection.close()


def slowest(*calls: Callable[[], int]) -> float:
    """Return how many seconds the slowest of the calls took, made by turns; a call without an answer ends it."""
    longest, started = 0.0, monotonic()
    while monotonic() - started < SECONDS:
        for call in calls:
            began = monotonic()
            try:
                assert call() == 200
            except urllib3.exceptions.HTTPError:
                return monotonic() - began
            finally:
                longest = max(longest, monotonic() - began)
        sleep(0.02)
    return longest


@pytest.fixture
def service(migrated: Callable[[str], str]) -> Iterator[str]:
    """Return a service of two workers."""
    with gunicorn(migrated("sqlite"), TRUSTED_PROXY_HOPS="1") as url:
        yield url


def test_the_gateway_keeps_slow_clients_from_the_service(service: str) -> None:
    require_tool("nginx")
    user = {"Authorization": f"Bearer {make_token(500_500)}", "User-Agent": CHROME}
    with nginx(service) as gateway, urllib3.PoolManager(retries=False, timeout=10) as http:
        created = http.request("POST", f"{gateway}/sessions/create", headers=user)
        assert created.status == 201, created.data
        with dawdling(gateway) as clients:
            seconds = slowest(
                lambda: http.request("GET", f"{gateway}/sessions/validate", headers=user).status,
                lambda: http.request("GET", f"{service}/healthz").status,
            )
            remain = sum(not client.is_gone for client in clients)

    note(f"slowest answer with {remain} of {CLIENTS} slow clients at the gateway: {seconds:.2f} s")
    assert remain >= CLIENTS * 2 // 5, "the idle ones and those with a slow body are not let go within 10 seconds"
    assert seconds < BOUND


def test_without_the_gateway_the_same_clients_would_be_noticed(service: str) -> None:
    with dawdling(service), urllib3.PoolManager(retries=False, timeout=2 * BOUND) as http:
        seconds = slowest(lambda: http.request("GET", f"{service}/openapi.json").status)

    note(f"slowest answer with {CLIENTS} slow clients at gunicorn itself: {seconds:.2f} s or more")
    assert seconds > BOUND
