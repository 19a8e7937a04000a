"""Callers of a running server: each with a token and an open connection, alone or many at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from threading import Barrier
from typing import Any, NamedTuple, TypeVar

import urllib3

from tests.harness.support import CHROME, USER, make_token

T = TypeVar("T")


class Answer(NamedTuple):
    """What a call was answered."""

    status: int
    body: Any
    retry_after: str | None

    @property
    def code(self) -> str | None:
        """The code of a problem; None for an answer that is none."""
        return self.body.get("code") if isinstance(self.body, dict) else None


class Caller:
    """Somebody with a token, and with a connection that is open before the first call."""

    def __init__(self, url: str, token: str, **headers: str) -> None:
        self._http = urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=20)
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME, **headers}
        self._http.request("GET", "/healthz")

    def call(self, method: str, path: str, **kwargs: Any) -> Answer:
        response = self._http.request(method, path, headers=self._headers, **kwargs)
        return Answer(response.status, response.json(), response.headers.get("Retry-After"))

    def create(self, fingerprint: str) -> Answer:
        return self.call("POST", "/sessions/create", json={"device_fingerprint": fingerprint})

    def create_ending(self, *session_ids: int) -> Answer:
        """Sign in as a device of its own, instead of these sessions."""
        return self.call("POST", "/sessions/create", json={"device_fingerprint": str(id(self)), "end": session_ids})

    def close(self) -> None:
        self._http.close()


TOKEN_NUMBERS = count(1)
"""Makes each token a text of its own."""


@contextmanager
def callers(urls: Sequence[str], number: int, user_id: int = USER, **claims: Any) -> Iterator[list[Caller]]:
    """Give callers with a token of their own each, spread over *urls*."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                closing(Caller(urls[one % len(urls)], make_token(user_id, n=next(TOKEN_NUMBERS), **claims)))
            )
            for one in range(number)
        ]


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make *calls* together, in a thread each; return what they returned."""
    barrier = Barrier(len(calls), timeout=20)

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))
