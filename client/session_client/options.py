"""The options of a client, checked once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from session_client.calls import Credentials

OnOutage = Literal["refuse", "remembered"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client calls and remembers. A class of its own, so that threads and tasks have the same options."""

    url: str
    """Where the service is, for example `http://127.0.0.1:8080`; a path is kept in front of `/sessions`."""
    credentials: str | None = field(default=None, repr=False)
    """`name:secret` of `SERVICE_CREDENTIALS`. Without them nothing is remembered, and no user's sessions are ended."""
    remember: bool = True
    """Whether to follow the feed and remember answers. With False each request is asked about."""
    recheck_seconds: float = 60.0
    """How long an answer is remembered at most. The question is also what tells the service of activity."""
    most_remembered: int = 100_000
    """Most remembered answers; beyond that the least recently used ones are forgotten."""
    connect_seconds: float = 1.0
    timeout_seconds: float = 3.0
    """For a whole call, with its connection and a second try. The service waits up to 2.5 for its database."""
    on_outage: OnOutage = "refuse"
    """Without an answer of the service: refuse with 503, or give a remembered yes to requests that only read."""
    outage_seconds: float = 300.0
    """With `on_outage="remembered"`: how long after it stopped to count by itself a yes is given at most."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them cannot be used; the text does not contain credentials.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("url must be http(s)://host[:port], without credentials and query")
        if self.credentials is not None:
            Credentials(self.credentials)
        positive = ("recheck_seconds", "most_remembered", "connect_seconds", "timeout_seconds", "outage_seconds")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0")
        if self.on_outage not in get_args(OnOutage):
            raise ValueError(f"on_outage must be one of {', '.join(get_args(OnOutage))}")

    @property
    def basic(self) -> Credentials:
        """The credentials.

        Raises:
            ValueError: there are none.
        """
        if self.credentials is None:
            raise ValueError("this call needs credentials")
        return Credentials(self.credentials)

    @property
    def remembers(self) -> bool:
        """Whether answers are remembered: the feed is for services only."""
        return self.remember and self.credentials is not None


def options_of(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options that the environment has: `SESSION_SERVICE_URL` and `SESSION_SERVICE_CREDENTIALS`.

    Raises:
        ValueError: `SESSION_SERVICE_URL` is missing.
    """
    given = os.environ if environ is None else environ
    if not given.get("SESSION_SERVICE_URL"):
        raise ValueError("set SESSION_SERVICE_URL")
    credentials = given.get("SESSION_SERVICE_CREDENTIALS")
    return {"url": given["SESSION_SERVICE_URL"], **({"credentials": credentials} if credentials else {})}
