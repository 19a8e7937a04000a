"""A service in memory behind a real HTTP server, whose answers a test may replace; and both clients, driven alike."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

import httpx

from session_client import (
    ActiveSession,
    AsyncSessionClient,
    Caller,
    Ended,
    Options,
    ServiceUnavailable,
    SessionClient,
    SessionEnded,
)
from session_client.testing import CREDENTIALS, FakeService

T = TypeVar("T")
Handler = Callable[["StubHandler"], None]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.005)


def caller(token: str, user_agent: str = "Firefox") -> Caller:
    return Caller(f"Bearer {token}", user_agent, "192.0.2.1")


class StubHandler(BaseHTTPRequestHandler):
    """Answers from the service in memory, or as the test says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "StubServer"

    def serve(self) -> None:
        """Answer one request."""
        path = self.path.partition("?")[0]
        self.server.calls[path] += 1
        instead = self.server.instead.get(path)
        if instead is None:
            self.answer_as_the_service()
        else:
            instead(self)

    do_GET = do_POST = do_DELETE = serve

    def answer_as_the_service(self) -> None:
        """Answer from memory."""
        response = self.ask_the_service()
        self.send(response.status_code, b"".join(response.iter_raw()), dict(response.headers))

    def ask_the_service(self) -> httpx.Response:
        """Return the answer, without sending it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"http://service.test{self.path}"
        with self.server.lock:
            return self.server.service.answer(
                httpx.Request(self.command, url, headers=list(self.headers.items()), content=body)
            )

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class's parameter
        """Say nothing."""


class StubServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StubHandler)
        self.service, self.lock = FakeService(), threading.Lock()
        self.calls: Counter[str] = Counter()
        self.instead: dict[str, Handler] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over callers that have gone."""


@contextmanager
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Driven(Protocol):
    """Either client, called from a thread."""

    def check(self, caller: Caller, /, **options: Any) -> ActiveSession: ...
    def end_user(self, user_id: int, /, **options: Any) -> Ended: ...
    def end(self, caller: Caller, **options: Any) -> Ended: ...
    def create(self, caller: Caller) -> dict[str, Any]: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    @property
    def is_remembering(self) -> bool: ...


class DrivenTasks:
    """`AsyncSessionClient`, in an event loop of a thread of its own."""

    def __init__(self, options: Options) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.client = AsyncSessionClient(options)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def check(self, caller: Caller, **options: Any) -> ActiveSession:
        return self._run(self.client.check(caller, **options))

    def end_user(self, user_id: int, **options: Any) -> Ended:
        return self._run(self.client.end_user(user_id, **options))

    def end(self, caller: Caller, **options: Any) -> Ended:
        return self._run(self.client.end(caller, **options))

    def create(self, caller: Caller) -> dict[str, Any]:
        return self._run(self.client.create(caller))

    def start(self) -> None:
        async def start() -> None:
            self.client.start()

        self._run(start())

    def close(self) -> None:
        async def close() -> set[str]:
            await self.client.close()
            return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]

        try:
            assert self._run(close()) == set()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            # As `asyncio.run` ends: generators that were left are closed, and sockets with them.
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    @property
    def is_remembering(self) -> bool:
        return self.client.is_remembering


@contextmanager
def driven(kind: str, server: StubServer | str, **options: Any) -> Iterator[Driven]:
    """Run a client of a server until the test is done; then no thread and no task of it is left."""
    before = set(threading.enumerate())
    url = server if isinstance(server, str) else server.url
    given = Options(**{"url": url, "credentials": CREDENTIALS, "timeout_seconds": 2.0, **options})
    client: Any = SessionClient(given) if kind == "threads" else DrivenTasks(given)
    try:
        yield client
    finally:
        client.close()
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert not {name for name in names if "session-client" in name or "asyncio" in name}


def remembering(client: Driven, server: StubServer, token: str, **options: Any) -> None:
    """Wait until a yes of this caller is given without a question."""

    def is_given_from_memory() -> bool:
        client.check(caller(token), **options)
        asked = server.calls["/sessions/validate"]
        client.check(caller(token), **options)
        return server.calls["/sessions/validate"] == asked

    wait_until(is_given_from_memory, "remembered")


def outcome(client: Driven, token: str, **options: Any) -> int | str:
    """Return the session of a caller, or why it is refused."""
    try:
        return int(client.check(caller(token), **options).session_id or 0)
    except SessionEnded as error:
        return error.reason
    except ServiceUnavailable:
        return "unavailable"
