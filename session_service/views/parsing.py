"""Parses requests strictly: input that two parsers could read differently is refused.

Lives here too: the limits of a body's size, and the reading of bodies that a view left unread.
"""

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
"""nginx's default limit of a body."""
DRAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class StrictParser(FlaskParser):
    """webargs' parser with stricter rules: JSON as I-JSON (RFC 7493) defines it, and each query parameter once."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the parsed body. No body counts as an empty object.

        Raises:
            UnsupportedMediaType: there is a body, and its media type is not JSON.
            InvalidJson: it is not JSON, or JSON that parsers read differently.
            BodyTooLarge: see `read_body`.
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
            UnsupportedMediaType: there is a body, and its media type is not that of a form.
            ValidationFailed: the body is incomplete or malformed, or a field is given twice.
            BodyTooLarge: see `read_body`.
        """
        try:
            body = read_body(req)
        except InvalidJson as error:
            raise ValidationFailed("The form was cut off on its way.") from error
        if body and req.mimetype != FORM:
            raise UnsupportedMediaType(f"Send the request body as {FORM}.")
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
        _refuse_repeated([name for name, _ in pairs if name in schema.fields])
        return dict(pairs)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the query. Unknown parameters are ignored, because an old client sends some."""
        _refuse_repeated([name for name, _ in req.args.items(multi=True) if name in schema.fields])
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_kwargs: Any) -> NoReturn:
        """Raise *error* as `ValidationFailed`. webargs nests the messages under the location (`json`, `query`)."""
        by_location = cast(dict[str, Any], error.messages)
        raise ValidationFailed(errors=next(iter(by_location.values()))) from error


def _refuse_repeated(names: list[str]) -> None:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValidationError({name: ["Given more than once."] for name in repeated})


class RestOfPath(BaseConverter):
    """The rest of a path, with any characters: a user's id may contain slashes and line breaks."""

    part_isolating = False
    regex = "(?s:.+)"


class StrictBlueprint(Blueprint):
    """A blueprint that is described in the OpenAPI document, and that parses requests strictly."""

    ARGUMENTS_PARSER = StrictParser()


def refuse_large_body() -> None:
    """Refuse a large body; to be called after the guard. Endpoints that take no body need this check, too.

    Raises:
        BodyTooLarge: the announced length is more than `MAX_BODY_BYTES`.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise BodyTooLarge


def read_body(req: Request) -> bytes:
    """Return the body.

    Raises:
        BodyTooLarge: it is longer than `MAX_BODY_BYTES`. A chunked body has no announced length, so it is read first.
        InvalidJson: it is shorter than announced, or its chunks are malformed.
    """
    try:
        body = req.get_data()
        has_more = req.content_length is None and bool(req.environ["wsgi.input"].read(1))
    except HTTPException:
        raise
    except Exception as error:
        # For malformed chunks, gunicorn's parser raises exceptions of many classes.
        raise InvalidJson from error
    if has_more:
        raise BodyTooLarge
    if req.content_length not in {None, len(body)}:
        raise InvalidJson  # cut off during transfer; the received part may still be valid JSON
    return body


def drain_after(response: Response) -> Response:
    """Read the rest of a large body after the answer is sent, so that the connection can be used again.

    gunicorn itself reads up to 64 kB that the application left unread. If there is more, it closes the connection,
    although its answer has announced keep-alive: a gateway that reuses the connection would answer 502 to another
    client.
    """
    environ = request.environ
    is_large = (request.content_length or 0) > DRAINED_BY_GUNICORN or "Transfer-Encoding" in request.headers
    if is_large and "gunicorn.socket" in environ:
        response.direct_passthrough = False  # with it, Werkzeug does not run `call_on_close` for a file
        response.call_on_close(partial(_drain, environ["wsgi.input"], environ["gunicorn.socket"]))
    return response


def _drain(body: IO[bytes], connection: socket) -> None:
    """Read *body* to its end, at most `DRAIN_SECONDS` and `MAX_DRAINED_BYTES`: a client may send arbitrarily slowly."""
    # A socket timeout would apply to each packet. This timer limits the time as a whole.
    stop = Timer(DRAIN_SECONDS, connection.shutdown, (SHUT_RD,))
    stop.start()
    left = MAX_DRAINED_BYTES
    try:
        while left > 0 and (piece := body.read(min(left, 65_536))):
            left -= len(piece)
    except Exception:
        # The body is cut off or its chunks are malformed: gunicorn closes the connection.
        _log.info("a body ended before its announced end")
    finally:
        stop.cancel()


def parse_json(body: bytes) -> Any:
    """Return the JSON value in *body*, UTF-8 (RFC 8259 section 8.1).

    Raises:
        InvalidJson: malformed, nested too deeply, NaN or an infinity, or an object with a repeated or unstorable name.
    """
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InvalidJson from error


def parse_session_id(text: str) -> int:
    """Return the session id in a path.

    Raises:
        SessionNotFound: no session can have this id. The answer is the same as for an unknown id.
    """
    session_id = parse_number(text)
    if session_id is None:
        raise SessionNotFound
    return session_id


def parse_owner(text: str) -> str:
    """Return the user id in a path, in canonical form.

    Raises:
        ValidationFailed: it is not an id of the configured `USER_ID_TYPE`.
    """
    user_id = parse_user_id(text, components().settings.USER_ID_TYPE)
    if user_id is None:
        raise ValidationFailed(errors={"user_id": ["Not a user id."]})
    return user_id


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not all(map(is_storable, names)):
        raise ValueError("a name is repeated or cannot be stored")
    return dict(pairs)
