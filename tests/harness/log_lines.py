"""What lines of log may hold, and what must not be in them."""

import logging
import re
from typing import Any

from tests.harness.hostile import CREDENTIALS
from tests.harness.support import SECRET, make_token

EVENTS = re.compile(
    r"Starting gunicorn [\d.]+|Listening at: \S+ \(\d+\)|Using worker: \S+|Booting worker with pid: \d+"
    r"|a request could not be read: \w+|Handling signal: \w+|Worker exiting \(pid: \d+\)|Shutting down: Master"
    r"|request|session_created|session_ended|a body ended before its announced end"
    r"|X-Forwarded-For arrives, but TRUSTED_PROXY_HOPS is 0: .*"
)
"""What is said at all; of gunicorn's lines one says anything about a request."""

REQUEST = {"method", "route", "status", "duration_ms", "user_id", "session_id"}
OF_REFUSALS = {"code", "token_refused"}
CHANGE = {"session_id", "user_id", "reason", "by", "successor_id", "because"}
ALWAYS = {"event", "level", "timestamp"}

_PLAIN = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line holds besides its event."""
    extra = {name: value for name, value in vars(record).items() if name not in _PLAIN}
    extra.update(extra.pop("fields", {}))
    return extra


def leaks(text: str) -> list[str]:
    """Return what of a log would be of use to whoever finds it."""
    secrets = [SECRET, *CREDENTIALS.values(), make_token().rpartition(".")[0], "eyJ", "Bearer ", "Basic "]
    inside = ["SELECT ", "INSERT ", "Traceback", "session_service/", "site-packages", "?token", "access_token"]
    return [one for one in [*secrets, *inside] if one in text]
