"""A device that calls real servers: what a browser sends by itself, from a loopback address of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import urllib3
from urllib3 import BaseHTTPResponse

from tests.harness.support import CHROME

APP = "https://app.example.com"


@dataclass(frozen=True)
class Browser:
    """A browser with a page of `APP` open, which calls one server."""

    url: str
    token: str | None = None
    address: str = "127.0.0.1"
    user_agent: str = CHROME
    refresh_token: str = ""
    forwarded_for: str | None = None
    """What it claims in `X-Forwarded-For`."""

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> BaseHTTPResponse:
        """Call an endpoint, on a connection that is closed afterwards."""
        sent = {"User-Agent": self.user_agent, "Origin": APP}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.forwarded_for:
            sent["X-Forwarded-For"] = self.forwarded_for
        with urllib3.PoolManager(source_address=(self.address, 0), retries=False, timeout=20) as http:
            return http.request(method, f"{self.url}{path}", headers={**sent, **(headers or {})}, **kwargs)

    def get(self, path: str) -> BaseHTTPResponse:
        return self.call("GET", path)

    def preflight(self, path: str, method: str = "GET") -> BaseHTTPResponse:
        """Ask, as a browser does before it sends a token, whether the page may call."""
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
        return replace(self, token=None).call("OPTIONS", path, headers=asked)
