"""How answers become JSON: UTF-8, instants in UTC with `Z`."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider


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
    """Return *value* as JSON, with a line break at its end. It may hold datetimes in UTC."""
    # orjson writes datetimes as `clock.as_text` does; those of another zone would have its offset.
    return orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
