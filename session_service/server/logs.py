"""The format of log lines: one JSON object each, or readable text on a terminal.

The code logs with the standard library and passes fields as `extra`. structlog formats the line.
"""

import sys
from logging.config import dictConfig
from typing import Any

import structlog
from gunicorn.glogging import Logger

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging() -> None:
    """Log to standard error, because standard output is for the results of commands."""
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
    """gunicorn's logger, with lines in the same format. It logs no requests, because the application does."""

    def setup(self, cfg: object) -> None:
        """Replace gunicorn's handlers by the handler of the root logger."""
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        configure_logging()
