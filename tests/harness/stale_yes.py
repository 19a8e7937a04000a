"""A process that remembers answers by the client library, for the hunt for a yes that comes too late.

``python -m tests.harness.stale_yes KIND URL NUMBER PROGRESS OUTPUT [late-lease]`` asks about the sessions of its users,
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
from session_client import AsyncSessionClient, Caller, SessionClient, clock
from session_client.errors import Refused, ServiceUnavailable
from session_client.feed import PATH
from session_client.http_tasks import connections
from session_client.http_threads import DeadlineTransport
from session_client.options import Options
from session_client.remembered import Memory

from tests.harness.feed import CREDENTIALS
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


def ask_all(ask: Callable[[Caller], object], reader: int, progress: Path) -> dict[str, float]:
    """Ask about the next users and those before, each session until the first no.

    The file `asked-` and the reader's number has the last user all of whose sessions got a yes.

    Returns:
        by session, when the last question began that got a yes.
    """
    last_yes: dict[str, float] = {}
    asked, last_asked, next_user = progress.with_name(f"asked-{reader}"), 0, 0
    callers: dict[int, dict[int, Caller]] = {}
    while (turn := int(progress.read_text() or 0)) != OVER:
        for user in range(max(turn, next_user), turn + AHEAD):
            next_user = user + 1
            if user % READERS == reader:
                tokens = {number: token_of(user, number) for number in range(SESSIONS_PER_USER)}
                callers[user] = {number: Caller(f"Bearer {token}", CHROME, None) for number, token in tokens.items()}
        for user, of_user in callers.items():
            yeses = 0
            for number, caller in list(of_user.items()):
                began = monotonic()
                try:
                    ask(caller)
                except Refused:
                    del of_user[number]
                except ServiceUnavailable:
                    continue
                else:
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
    given = Options(url=url, credentials=f"backend:{CREDENTIALS['backend']}")
    if kind == "threads":
        client = SessionClient(given, lambda: SlowFeed(url))
        last_yes = ask_all(client.check, int(reader), Path(progress))
        client.close()
    else:
        last_yes = asyncio.run(_by_tasks(given, int(reader), Path(progress)))
    Path(output).write_text(json.dumps(last_yes))


async def _by_tasks(given: Options, reader: int, progress: Path) -> dict[str, float]:
    client = AsyncSessionClient(given, lambda: SlowFeedOfTasks(given.url))
    loop = asyncio.get_running_loop()

    def ask(caller: Caller) -> object:
        return asyncio.run_coroutine_threadsafe(client.check(caller), loop).result()

    last_yes = await asyncio.to_thread(ask_all, ask, reader, progress)
    await client.close()
    return last_yes


if __name__ == "__main__":
    main(*sys.argv[1:])
