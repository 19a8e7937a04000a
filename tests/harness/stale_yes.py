"""A process that remembers answers by the client library, for the hunt for a yes that comes too late.

``python -m tests.harness.stale_yes KIND URL NUMBER PROGRESS OUTPUT [late-lease]`` (KIND: `threads`, `tasks`, or an
adapter, whose backend is at URL) asks about the sessions of its users,
before and after each is ended, until the file PROGRESS says so, and writes down when the last question began that was
answered by a yes. With ``late-lease`` the lease begins when the feed has answered, which is the fault to be found.
Answers of the feed arrive late by a random time, as over a bad network.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import random
from time import monotonic, sleep

import httpx
import urllib3
from session_client import AsyncSessionClient, Caller, SessionClient, clock
from session_client.errors import Refused, ServiceUnavailable
from session_client.feed import PATH
from session_client.http_tasks import connections
from session_client.http_threads import DeadlineTransport
from session_client.options import Options
from session_client.remembered import Memory

from tests.harness.examples import CREDENTIALS
from tests.harness.support import CHROME, make_token

READERS = 2
FIRST_USER = 1_000
SESSIONS_PER_USER = 100
"""All of them end at once."""
AHEAD = 3
"""So many users are asked about before their sessions end, so that there is a yes to be remembered."""
LONGEST_DELAY_SECONDS = 0.7
"""Of an answer of the feed: more than the lease, so that the reader is without one from time to time."""
OVER = -1


Ask = Callable[[Caller], bool | None]
"""Answers whether a caller's session is active; None if it is not known."""


def token_of(user: int, number: int) -> str:
    """Return the token of a user's session."""
    return make_token(user, jti=f"{user}-{number}")


def _delay() -> float:
    return LONGEST_DELAY_SECONDS * random()


class SlowFeed(httpx.BaseTransport):
    """Connections over which the answers of the feed arrive late."""

    def __init__(self, url: str) -> None:
        self._inner = DeadlineTransport(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        if request.url.path == PATH:
            sleep(_delay())
        return answer

    def close(self) -> None:
        self._inner.close()


class SlowFeedOfTasks(httpx.AsyncBaseTransport):
    """The same for asyncio."""

    def __init__(self, url: str) -> None:
        self._inner = connections(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if request.url.path == PATH:
            await asyncio.sleep(_delay())
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def late_lease() -> None:
    """Let the lease begin when the answer has arrived, instead of when the question began."""
    extend = Memory.extend

    def too_late(self: Memory, begun_at: float, lease_seconds: float) -> None:
        assert begun_at <= clock.now()
        extend(self, clock.now(), lease_seconds)

    Memory.extend = too_late  # type: ignore[method-assign]


def by(check: Callable[[Caller], object]) -> Ask:
    """Return a question to a client."""

    def ask(caller: Caller) -> bool | None:
        try:
            check(caller)
        except Refused:
            return False
        except ServiceUnavailable:
            return None
        return True

    return ask


def through(backend: str) -> Ask:
    """Return a question to a backend on one of the adapters."""
    http = urllib3.PoolManager(retries=False, timeout=20)

    def ask(caller: Caller) -> bool | None:
        try:
            status = http.request("GET", f"{backend}/who", headers=caller.headers).status
        except urllib3.exceptions.HTTPError:
            return None
        return {200: True, 401: False}.get(status)

    return ask


def _turn(progress: Path) -> int:
    return int(progress.read_text())


def ask_all(ask: Ask, reader: int, progress: Path) -> dict[str, float]:
    """Ask about the next users and those before, each session until the first no.

    The file `asked-` and the reader's number has the last user all of whose sessions got a yes.

    Returns:
        by session, when the last question began that got a yes.
    """
    last_yes: dict[str, float] = {}
    asked, last_asked, next_user = progress.with_name(f"asked-{reader}"), 0, 0
    callers: dict[int, dict[int, Caller]] = {}
    while (turn := _turn(progress)) != OVER:
        for user in range(max(turn, next_user), turn + AHEAD):
            next_user = user + 1
            if user % READERS == reader:
                tokens = {number: token_of(user, number) for number in range(SESSIONS_PER_USER)}
                callers[user] = {number: Caller(f"Bearer {token}", CHROME, None) for number, token in tokens.items()}
        for user, of_user in callers.items():
            yeses = 0
            for number, caller in list(of_user.items()):
                if _turn(progress) == OVER:
                    return last_yes
                began = monotonic()
                answer = ask(caller)
                if answer is False:
                    del of_user[number]
                elif answer:
                    last_yes[f"{user}-{number}"] = began
                    yeses += 1
            if yeses == SESSIONS_PER_USER and user > last_asked:
                last_asked = user
                asked.write_text(str(user))
        callers = {user: of_user for user, of_user in callers.items() if of_user}
    return last_yes


def main(kind: str, url: str, reader: str, progress: str, output: str, *options: str) -> None:
    """Run one reader."""
    if "late-lease" in options:
        late_lease()
    given = Options(url=url, credentials=CREDENTIALS)
    if kind == "threads":
        client = SessionClient(given, lambda: SlowFeed(url))
        last_yes = ask_all(by(client.check), int(reader), Path(progress))
        client.close()
    elif kind == "tasks":
        last_yes = asyncio.run(_by_tasks(given, int(reader), Path(progress)))
    else:
        last_yes = ask_all(through(url), int(reader), Path(progress))
    Path(output).write_text(json.dumps(last_yes))


async def _by_tasks(given: Options, reader: int, progress: Path) -> dict[str, float]:
    client = AsyncSessionClient(given, lambda: SlowFeedOfTasks(given.url))
    loop = asyncio.get_running_loop()

    def ask(caller: Caller) -> object:
        return asyncio.run_coroutine_threadsafe(client.check(caller), loop).result()

    last_yes = await asyncio.to_thread(ask_all, by(ask), reader, progress)
    await client.close()
    return last_yes


if __name__ == "__main__":
    main(*sys.argv[1:])
