"""From a request's bytes to checked values, strictly: what two parsers could read differently is refused."""

import json
import logging
from functools import partial
from socket import SHUT_RD, socket
from threading import Timer
from typing import IO, Any, NoReturn, cast
from urllib.parse import parse_qsl

from flask import Request, Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from session_service.components import components
from session_service.errors import (
    BodyTooLarge,
    InvalidJson,
    SessionNotFound,
    UnsupportedMediaType,
    ValidationFailed,
)
from session_service.rules.identifiers import is_storable, parse_number, parse_user_id

FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 16 * 1024

DRAINED_BY_GUNICORN = 64 * 1024
MAX_DRAINED_BYTES = 1024 * 1024
"""What nginx lets through by default."""
DRAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


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
            raise UnsupportedMediaType("Send the request body as application/json.")
        return parse_json(body)

    def load_form(self, req: Request, schema: Schema) -> Any:
        """Return the fields of a form, `application/x-www-form-urlencoded` (URL Standard section 5.1).

        Raises:
            UnsupportedMediaType: there is a body, and it is not announced as such a form.
            ValidationFailed: it does not come as it was announced.
        """
        try:
            body = read_body(req)
        except InvalidJson as error:
            raise ValidationFailed("The form was cut off on its way.") from error
        if body and req.mimetype != FORM:
            raise UnsupportedMediaType(f"Send the request body as {FORM}.")
        given = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
        _refuse_twice([name for name, _ in given if name in schema.fields])
        return dict(given)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the query; parameters that no endpoint knows are ignored (an old client sends some)."""
        _refuse_twice([name for name, _ in req.args.items(multi=True) if name in schema.fields])
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_kwargs: Any) -> NoReturn:
        """Raise *error* as ours; webargs puts the location around the fields' messages."""
        by_location = cast(dict[str, Any], error.messages)
        raise ValidationFailed(errors=next(iter(by_location.values()))) from error


def _refuse_twice(names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValidationError({name: ["Given more than once."] for name in twice})


class RestOfPath(BaseConverter):
    """The rest of a path, whatever it holds: a user's id may have slashes and line breaks."""

    part_isolating = False
    regex = "(?s:.+)"


class StrictBlueprint(Blueprint):
    """A documented blueprint that parses strictly."""

    ARGUMENTS_PARSER = StrictParser()


def refuse_large_body() -> None:
    """Stand behind the guard: an endpoint that takes no body takes no large one either."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge


def read_body(req: Request) -> bytes:
    """Return the body.

    Raises:
        BodyTooLarge: there is more of it than `MAX_BODY_BYTES`; a chunked one tells only at the end.
        InvalidJson: it does not come as it was announced.
    """
    try:
        body = req.get_data()
        has_more = req.content_length is None and bool(req.environ["wsgi.input"].read(1))
    except HTTPException:
        raise
    except Exception as error:
        # The server's own parser raises what it likes where the chunks of a body are broken.
        raise InvalidJson from error
    if has_more:
        raise BodyTooLarge
    if req.content_length not in {None, len(body)}:
        raise InvalidJson  # cut off on its way, and what came may be JSON all the same
    return body


def drain_after(response: Response) -> Response:
    """Have the rest of a large body read once the answer is out, so that the connection can carry the next request.

    Gunicorn reads up to 64 kB that the application left, and closes the connection if there is more, after it
    has promised to keep it: a gateway that uses it again would answer 502 to somebody else.
    """
    environ = request.environ
    is_large = (request.content_length or 0) > DRAINED_BY_GUNICORN or "Transfer-Encoding" in request.headers
    if is_large and "gunicorn.socket" in environ:
        response.direct_passthrough = False  # a file's answer would not tell when it is out
        response.call_on_close(partial(_drain, environ["wsgi.input"], environ["gunicorn.socket"]))
    return response


def _drain(body: IO[bytes], connection: socket) -> None:
    """Read *body* to its end, but neither for long nor much of it: a client may send it as slowly as it likes."""
    # A time limit of the socket would be one for each packet; this one ends the reading whatever still trickles in.
    stop = Timer(DRAIN_SECONDS, connection.shutdown, (SHUT_RD,))
    stop.start()
    left = MAX_DRAINED_BYTES
    try:
        while left > 0 and (piece := body.read(min(left, 65_536))):
            left -= len(piece)
    except Exception:
        # Cut off, or broken chunks: gunicorn closes the connection.
        _log.info("a body ended before its announced end")
    finally:
        stop.cancel()


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
    session_id = parse_number(text)
    if session_id is None:
        raise SessionNotFound
    return session_id


def parse_owner(text: str) -> str:
    """Return the user's id in a path, in canonical form.

    Raises:
        ValidationFailed: no user of a service with this `USER_ID_TYPE` can have it.
    """
    user_id = parse_user_id(text, components().settings.USER_ID_TYPE)
    if user_id is None:
        raise ValidationFailed(errors={"user_id": ["Not a user id."]})
    return user_id


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not all(map(is_storable, names)):
        raise ValueError("a name is given twice, or is no text")
    return dict(pairs)
