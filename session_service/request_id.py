"""The id of the request that a thread serves; every log line has it."""

import re
from contextvars import ContextVar
from secrets import token_hex

current: ContextVar[str | None] = ContextVar("request_id", default=None)

_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""No spaces, quotes or control characters: it is written into log lines and a header."""


def choose(given: str | None) -> str:
    """Return the id of a request: *given* if it is safe to write everywhere, otherwise a new one."""
    return given if given and _SANE.fullmatch(given) else token_hex(16)
