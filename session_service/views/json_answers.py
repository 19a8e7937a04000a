"""How answers become JSON: UTF-8, instants in UTC with `Z`."""

from datetime import datetime
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from session_service.clock import as_text


class JsonAnswers(JSONProvider):
    """Flask's JSON provider, by orjson."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        """Return *obj* as JSON."""
        return to_json(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        """Return what *s* holds; for test clients. Bodies of requests are read by `parsing.parse_json`."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return an answer with the arguments as its body."""
        body = to_json(self._prepare_response_obj(args, kwargs))
        return Response(body, mimetype="application/json")


def to_json(value: object) -> bytes:
    """Return *value* as JSON, with a line break at its end. It may hold datetimes, which are timezone-aware."""
    # Not by orjson itself, which writes the offset of the database connection's zone.
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_APPEND_NEWLINE)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return as_text(value)
    raise TypeError(type(value).__name__)
