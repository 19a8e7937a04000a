"""How log lines look: one JSON object each, or readable ones where somebody watches at a terminal.

The code logs by the standard library, with what a line holds as `extra`; structlog makes the line.
"""

import re
import sys
from logging.config import dictConfig
from typing import Any
from uuid import uuid4

import structlog
from gunicorn.glogging import Logger

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""No spaces, quotes or control characters: it goes into log lines and into a header."""

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging() -> None:
    """Let this process log to its standard error; standard output belongs to the commands."""
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if is_watched
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    line = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    }
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": line},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "loggers": {"session_service": {"level": "INFO"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
        }
    )


class GunicornLogger(Logger):
    """gunicorn's own lines in the same shape; it logs no requests, the application does."""

    def setup(self, cfg: object) -> None:
        """Leave the lines to the root logger's handler."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        configure_logging()


def request_id(given: str | None) -> str:
    """Return the id of a request: the one that was *given*, if it can be written everywhere, or a new one."""
    return given if given and _SANE_REQUEST_ID.fullmatch(given) else uuid4().hex
