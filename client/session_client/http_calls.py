"""Requests and answers of HTTP, as threads and tasks both need them."""

from urllib.parse import urlsplit

import httpx

from session_client.answers import Answer
from session_client.calls import Call

MOST_ANSWER_BYTES = 2_000_000
"""Of an answer. The largest ones are pages of the feed and lists of sessions, of a few hundred thousand."""

KEPT_ALIVE_SECONDS = 4.0
"""Shorter than the 5 seconds after which the service closes an idle connection."""

MOST_CONNECTIONS = 100
MOST_KEPT_ALIVE = 20

REPEATABLE = (httpx.NetworkError, httpx.RemoteProtocolError)
"""What a GET meets whose connection the service is just closing: it is sent once more."""


def request_of(base: str, call: Call, deadline: float, seconds: float, connect_seconds: float) -> httpx.Request:
    """Return the request of a call, with the time limits that HTTPX and `DeadlineTransport` read."""
    parts = urlsplit(base)
    url = httpx.URL(f"{parts.scheme}://{parts.netloc}").copy_with(
        raw_path=f"{parts.path.rstrip('/')}{call.target}".encode("ascii")
    )
    # The body is read as it arrives: compressed, its size would not be bounded.
    headers = [(b"Accept-Encoding", b"identity")]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in call.headers.items()]
    timeout = {"connect": min(connect_seconds, seconds), "read": seconds, "write": seconds, "pool": seconds}
    return httpx.Request(
        call.method,
        url,
        headers=headers,
        content=call.body or None,
        extensions={"timeout": timeout, "deadline": deadline},
    )


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    """Return an answer with its body."""
    headers = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers.raw}
    return Answer(response.status_code, headers, body)


def too_large() -> httpx.DecodingError:
    """Return the error for an answer that is larger than any of the service."""
    return httpx.DecodingError(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
