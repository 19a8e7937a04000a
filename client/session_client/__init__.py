"""Asks a Session Service whether a session is active, and remembers the yes for as long as it holds.

- `SessionClient` (threads) and `AsyncSessionClient` (asyncio) ask; `fastapi`, `flask` and `django` put them into a
  backend; `testing` has a service in memory for tests of a backend.
- `remembered` has the rules, `feed` how the feed is followed, `calls` what is sent. None of them calls anything.
"""

from session_client.answers import READABLE, ActiveSession, Answer
from session_client.caller import Caller, forwarded_for
from session_client.calls import Call, Ended, forward
from session_client.errors import Refused, ServiceUnavailable, SessionClientError, SessionEnded, TokenRefused
from session_client.options import Options
from session_client.tasks import AsyncSessionClient
from session_client.threads import SessionClient
from session_client.version import VERSION as __version__

__all__ = [
    "READABLE",
    "ActiveSession",
    "Answer",
    "AsyncSessionClient",
    "Call",
    "Caller",
    "Ended",
    "Options",
    "Refused",
    "ServiceUnavailable",
    "SessionClient",
    "SessionClientError",
    "SessionEnded",
    "TokenRefused",
    "__version__",
    "forward",
    "forwarded_for",
]
