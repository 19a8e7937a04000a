"""HTTP for asyncio, with a deadline for a whole call."""

import anyio
import httpx

from session_client import clock
from session_client.http_calls import (
    KEPT_ALIVE_SECONDS,
    MOST_ANSWER_BYTES,
    MOST_CONNECTIONS,
    MOST_KEPT_ALIVE,
    too_large,
)


def connections(url: str) -> httpx.AsyncHTTPTransport:
    """Return a pool of connections to a service."""
    limits = httpx.Limits(
        max_connections=MOST_CONNECTIONS,
        max_keepalive_connections=MOST_KEPT_ALIVE,
        keepalive_expiry=KEPT_ALIVE_SECONDS,
    )
    # Without TLS no certificates are loaded, which takes longer than anything else here. Not HTTP_PROXY: the service
    # is reached directly.
    return httpx.AsyncHTTPTransport(verify=url.startswith("https:"), trust_env=False, limits=limits)


async def exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> tuple[httpx.Response, bytes]:
    """Send a request; return the answer and its body.

    Raises:
        TimeoutError: the request's `deadline` has come.
        httpx.RequestError: there is no answer, or it is too large.
    """
    with anyio.fail_after(max(request.extensions["deadline"] - clock.now(), 0.0)):
        response = await transport.handle_async_request(request)
        try:
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MOST_ANSWER_BYTES:
                    raise too_large()
        finally:
            await response.aclose()
    return response, bytes(body)
