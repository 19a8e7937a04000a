"""The service as it is deployed, and devices that call through its gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import urllib3
from urllib3 import BaseHTTPResponse, HTTPHeaderDict

from tests.harness.browsers import APP
from tests.harness.support import CHROME

STAGING = "http://staging.example.com:3000"
LIMIT = 3
SIGN_INS_PER_MINUTE = 10


@dataclass(frozen=True)
class Gateway:
    """The gateway, and the file in which gunicorn notes which of its workers answered which request."""

    url: str
    answered: Path

    def workers_of(self, responses: Sequence[BaseHTTPResponse]) -> set[str]:
        """Return which workers gave *responses*; gunicorn writes that down just after it has answered."""
        requests = {response.headers["X-Request-ID"] for response in responses}
        deadline = monotonic() + 10
        while monotonic() < deadline:
            notes = [line.split() for line in self.answered.read_text(encoding="utf-8").splitlines()]
            workers = {note[0]: note[1] for note in notes if len(note) == 2 and note[0] in requests}
            if workers.keys() == requests:
                return set(workers.values())
        raise AssertionError(f"gunicorn did not write down who answered {requests - workers.keys()}")


@dataclass(frozen=True)
class Device:
    """Something that calls through the gateway, from an address and with a token of its own."""

    gateway: Gateway
    token: str | None = None
    address: str = "127.0.0.1"
    user_agent: str = CHROME
    origin: str | None = APP
    forwarded_for: tuple[str, ...] = ()
    """What it claims in `X-Forwarded-For`, one header each."""

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> BaseHTTPResponse:
        """Call an endpoint, on a connection that is closed afterwards."""
        sent = HTTPHeaderDict({"User-Agent": self.user_agent})
        if self.token:
            sent.add("Authorization", f"Bearer {self.token}")
        if self.origin:
            sent.add("Origin", self.origin)
        for claimed in self.forwarded_for:
            sent.add("X-Forwarded-For", claimed)
        sent.update(headers or {})
        with urllib3.PoolManager(source_address=(self.address, 0), retries=False, timeout=20) as http:
            return http.request(method, f"{self.gateway.url}{path}", headers=sent, **kwargs)

    def sign_in(self, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Open a session; return it as the service described it."""
        response = self.call("POST", "/sessions/create", json=body or {})
        assert response.status == 201, response.data
        return dict(response.json())

    def sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that the service lists for this user."""
        response = self.call("GET", "/sessions/my-sessions")
        assert response.status == 200, response.data
        return list(response.json())


def problem_code(response: BaseHTTPResponse) -> str | None:
    """Return the code of a problem that is one in every respect; None for an answer that is none."""
    if response.headers["Content-Type"] != "application/problem+json":
        return None
    problem = response.json()
    assert problem["status"] == response.status
    assert problem["detail"].strip()
    assert problem["request_id"] == response.headers["X-Request-ID"]
    return str(problem["code"])
