"""`AsyncSessionClient`, for asyncio: FastAPI, Starlette. One for an event loop; docstrings are in `SessionClient`."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx

from session_client import calls, clock
from session_client.answers import ActiveSession, Answer, Yes
from session_client.caller import Caller, bearer_of, expiry_of, key_of
from session_client.calls import Call, Ended
from session_client.errors import Refused, ServiceUnavailable
from session_client.feed import PATH, FeedReader, forget_ended
from session_client.http_calls import REPEATABLE, answer_of, request_of
from session_client.http_tasks import connections, exchange
from session_client.options import OnOutage, Options, options_of
from session_client.process import after_fork
from session_client.remembered import Memory

_log = logging.getLogger("session_client")


class AsyncSessionClient:
    """The same as `SessionClient`, for one event loop: the feed is followed by one task.

    Called from another event loop, or in the child of a fork, it begins anew, with an empty memory.
    """

    def __init__(self, options: Options, transport: Callable[[], httpx.AsyncBaseTransport] | None = None) -> None:
        """Take the options; *transport* makes what sends requests, in place of real connections (`testing`)."""
        self.options = options
        self._make_transport = transport or (lambda: connections(options.url))
        self._is_closed = False
        self._begin(None)
        self._hook = after_fork(self._after_fork)

    @classmethod
    def from_environment(cls, **options: Any) -> "AsyncSessionClient":
        """Return a client with these options, and those of `options_of`."""
        return cls(Options(**{**options_of(), **options}))

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._memory = Memory(most=self.options.most_remembered, recheck_seconds=self.options.recheck_seconds)
        self._transport = self._make_transport()
        self._reader = FeedReader(self._memory)
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    # Checks

    async def check(self, caller: Caller, *, reading: bool = False, on_outage: OnOutage | None = None) -> ActiveSession:
        """Return the caller's active session; as `SessionClient.check`."""
        if self._loop is not asyncio.get_running_loop():
            self.start()
        key = key_of(caller)
        remembered = self._memory.find(key, clock.now())
        if remembered is not None:
            return remembered
        self.start()
        deadline = clock.now() + self.options.timeout_seconds
        try:
            yes, is_outdated = await self._ask(caller, key, deadline)
            if is_outdated:
                yes, _ = await self._ask(caller, key, deadline)
            return yes.session
        except Refused:
            self._memory.forget(key)
            raise
        except ServiceUnavailable:
            bridges = reading and (on_outage or self.options.on_outage) == "remembered"
            found = bridges and self._memory.find_in_outage(key, clock.now(), self.options.outage_seconds)
            if not found:
                raise
            return found

    async def _ask(self, caller: Caller, key: bytes, deadline: float) -> tuple[Yes, bool]:
        """Return the yes of the service, and whether the session has ended while the answer was under way."""
        question = self._memory.begin(clock.now())
        yes = calls.yes_or_no(await self._send(calls.validate(caller), deadline))
        outcome = self._memory.remember(question, key, yes, expiry_of(bearer_of(caller.authorization)))
        return yes, outcome == "ended"

    # Calls of the backend itself

    async def create(self, caller: Caller, device: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a session at a sign-in; as `SessionClient.create`."""
        created: dict[str, Any] = calls.done(await self.forward(calls.create(caller, device)))
        return created

    async def end(self, caller: Caller, session_id: int | None = None, *, everywhere: bool = False) -> Ended:
        """End the caller's own session, or the one of its user with this id; as `SessionClient.end`."""
        return calls.ended(await self.forward(calls.end(caller, session_id, everywhere)))

    async def end_user(self, user_id: int | str, *, because: str | None = None, everywhere: bool = False) -> Ended:
        """End all sessions of a user; as `SessionClient.end_user`."""
        try:
            return calls.ended(await self._call(calls.end_user(user_id, because, everywhere, self.options.basic)))
        finally:
            self._memory.lapse(clock.now())
            self._ask_feed_now()

    async def list(self, user_id: int | str, *, include_inactive: bool = False) -> list[dict[str, Any]]:
        """Return a user's sessions; as `SessionClient.list`."""
        found: list[dict[str, Any]] = calls.done(
            await self._call(calls.list_user(user_id, include_inactive, self.options.basic))
        )
        return found

    async def forward(self, call: Call) -> Answer:
        """Make a call for its caller, and return the answer, of any status; as `SessionClient.forward`."""
        answer = await self._call(call)
        if forget_ended(self._memory, call, answer, clock.now()):
            self._ask_feed_now()
        return answer

    async def _call(self, call: Call) -> Answer:
        extra = 2 * self._reader.lease_seconds if call.waits_for_a_lease else 0
        return await self._send(call, clock.now() + self.options.timeout_seconds + extra)

    async def _send(self, call: Call, deadline: float) -> Answer:
        self._enter_loop()
        if self._is_closed:
            raise ServiceUnavailable("the client is closed")
        try:
            try:
                return await self._exchange(call, deadline)
            except REPEATABLE:
                if call.method != "GET":
                    raise
                return await self._exchange(call, deadline)
        except (httpx.RequestError, TimeoutError) as error:
            raise ServiceUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error

    async def _exchange(self, call: Call, deadline: float) -> Answer:
        left = max(deadline - clock.now(), 0.001)
        request = request_of(self.options.url, call, deadline, left, self.options.connect_seconds)
        return answer_of(*await exchange(self._transport, request))

    # Life

    def start(self) -> None:
        """Begin to follow the feed, if answers are remembered. The first check does it, if nothing else has."""
        self._enter_loop()
        if self._task is None and self.options.remembers and not self._is_closed:
            self._task = asyncio.create_task(self._follow(), name="session-client-feed")

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # What belongs to a loop that has ended cannot be closed any more.
            self._begin(loop)

    def _ask_feed_now(self) -> None:
        self._wake.set()

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            begun_at = clock.now()
            call = calls.feed(PATH, self._reader.query, self.options.basic)
            try:
                answer = await self._send(call, begun_at + self.options.timeout_seconds)
                next_at = self._reader.answered(answer, begun_at)
            except ServiceUnavailable as error:
                next_at = self._reader.failed(begun_at, str(error))
            except Exception:  # without this task nothing is remembered until the process ends
                _log.exception("the feed could not be read")
                next_at = self._reader.failed(begun_at, "an error of this library")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(next_at - clock.now(), 0))

    @property
    def is_remembering(self) -> bool:
        """Whether the lease holds now: yeses are given from memory."""
        return self._memory.holds_lease(clock.now())

    async def close(self) -> None:
        """Stop following the feed, end the task and all connections; it can be repeated. Later calls fail."""
        self._is_closed = True
        self._enter_loop()
        self._memory.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._transport.aclose()

    def _after_fork(self) -> None:
        self._begin(None)
