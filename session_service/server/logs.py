"""The format of log lines: one JSON object each, or readable text at a terminal.

The code logs with the standard library and passes fields as `extra`.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from logging.config import dictConfig
from typing import Any

import orjson
from gunicorn.glogging import Logger

from session_service import request_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has. Anything else was passed as `extra`."""


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, its time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = fields_of(record)
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()
        except TypeError:  # a lone surrogate or an integer of more than 64 bits, from a library's message
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Writes a record for a person at a terminal, its time in the person's zone."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the stack of an exception below it."""
        line = fields_of(record)
        event, level = line.pop("event"), line.pop("level")
        fields = " ".join(f"{name}={value}" for name, value in line.items() if value is not None)
        text = f"{self.formatTime(record, '%H:%M:%S')} {level:<8}{event:<28}{fields}".rstrip()
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record: what was passed as `extra`, `event`, `level`, and `request_id` in a request.

    The most frequent lines pass one dict of all fields, under the name `fields`, because that is faster.
    """
    given = vars(record).get("fields")
    if isinstance(given, dict):
        fields = dict(given)
    else:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    fields["event"], fields["level"] = record.getMessage(), record.levelname.lower()
    of_request = request_id.current.get()
    if of_request:
        fields.setdefault("request_id", of_request)
    return fields


def configure_logging() -> None:
    """Log to standard error, because standard output is for the results of commands."""
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    # No line has these (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": TextFormatter if is_watched else JsonFormatter}},
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
