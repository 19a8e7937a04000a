"""From a request's bytes to checked values, strictly: what two parsers could read differently is refused."""

import json
import logging
import re
from collections import Counter
from typing import Any, NoReturn, cast

from flask import Request, current_app
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from session_service.errors import InvalidJson, SessionNotFound, UnsupportedMediaType, ValidationFailed
from session_service.tokens import parse_user_id

MAX_ID = 2**63 - 1
MAX_DRAINED_BYTES = 1024 * 1024
"""What nginx lets through by default."""

_log = logging.getLogger(__name__)
_ID = re.compile(r"[1-9][0-9]{0,18}")


class StrictParser(FlaskParser):
    """Webargs' parser: JSON as I-JSON (RFC 7493) has it, and each query parameter once."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the parsed body; no body at all is as good as an empty object.

        Raises:
            UnsupportedMediaType: there is a body, and it is not announced as JSON.
            InvalidJson: it is not JSON, or not the kind that everybody reads alike.
        """
        body = read_body(req)
        if not body:
            return missing
        if not req.is_json:
            raise UnsupportedMediaType
        return parse_json(body)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the query; parameters that no endpoint knows are ignored (an old client sends some)."""
        twice = [name for name in schema.fields if len(req.args.getlist(name)) > 1]
        if twice:
            raise ValidationError({name: ["Given more than once."] for name in twice})
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_kwargs: Any) -> NoReturn:
        """Raise *error* as ours; webargs puts the location around the fields' messages."""
        by_location = cast(dict[str, Any], error.messages)
        raise ValidationFailed(errors=next(iter(by_location.values()))) from error


class StrictBlueprint(Blueprint):
    """A documented blueprint that parses strictly."""

    ARGUMENTS_PARSER = StrictParser()


def read_body(req: Request) -> bytes:
    """Return the body.

    Raises:
        InvalidJson: it does not come as it was announced.
        werkzeug.exceptions.RequestEntityTooLarge: it is over `MAX_CONTENT_LENGTH`.
    """
    try:
        body = req.get_data()
    except HTTPException:
        raise
    except Exception as error:
        # The server's own parser raises what it likes where the chunks of a body are broken.
        raise InvalidJson from error
    if req.content_length not in {None, len(body)}:
        raise InvalidJson  # cut off on its way, and what came may be JSON all the same
    return body


def drain_body(req: Request) -> None:
    """Read what is left of the body, within reason, so that the connection can carry the next request.

    Gunicorn closes a connection with more than 64 kB unread, after it has promised to keep it: a gateway
    that uses it again would answer 502 to somebody else.
    """
    if not req.environ.get("wsgi.input_terminated"):
        return  # this server's stream has no end of its own; reading on would wait forever
    left = MAX_DRAINED_BYTES
    try:
        while left > 0 and (piece := req.environ["wsgi.input"].read(min(left, 65_536))):
            left -= len(piece)
    except Exception:
        _log.info("a body ended before its announced end")


def parse_json(body: bytes) -> Any:
    """Return the JSON value in *body*, UTF-8 (RFC 8259 section 8.1).

    Raises:
        InvalidJson: broken, nested too deeply, NaN or an infinity, or a name given twice in one object.
    """
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidJson from error


def parse_session_id(text: str) -> int:
    """Return the session's id in a path.

    Raises:
        SessionNotFound: no session has an id such as this, so it is as unknown as any other.
    """
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise SessionNotFound
    return int(text)


def parse_owner(text: str) -> str:
    """Return the user's id in a path, in canonical form.

    Raises:
        ValidationFailed: no user of a service with this `USER_ID_TYPE` can have it.
    """
    user_id = parse_user_id(text, current_app.extensions["settings"].USER_ID_TYPE)
    if user_id is None:
        raise ValidationFailed(errors={"user_id": ["Not a user id."]})
    return user_id


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if any(times > 1 for times in Counter(name for name, _ in pairs).values()):
        raise ValueError("a name is given twice")
    return dict(pairs)
