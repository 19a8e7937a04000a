"""The file of endpoints that `WEBHOOKS` names. `webhooks.schema.json` describes it to editors and other programs."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from session_service.webhooks.schedule import LONGEST_PAUSE_SECONDS, RETRY_SECONDS

MAX_SECONDS = 15
"""For one call as a whole. Standard Webhooks recommends 15 to 30 seconds."""

MAX_ENDPOINTS = 50
"""Each has a thread of its own."""

EventType = Literal["session.created", "session.ended"]
EVENTS: tuple[EventType, ...] = ("session.created", "session.ended")

_PLAIN = re.compile(r"[!-\"$-~]+")
"""ASCII without spaces and `#`."""

_SECRET = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})")
_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
_NAME_WORDS = "must be 1 to 40 of a-z, 0-9, _ and -, the first a letter or a digit"
_SECRET_BYTES = (24, 64)
"""Least and most bytes of a secret (Standard Webhooks, "Signature scheme")."""


class EndpointsProblem(ValueError):
    """The file cannot be used. `problems` names every reason, and contains no value of the file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where events are sent to, and how."""

    name: str
    """Identifies the endpoint in the database, in metrics and to commands; its URL may change."""
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """The secret, and its predecessor while both are in use. Each signs every message."""
    events: frozenset[EventType] = frozenset(EVENTS)
    allow_private: bool = False
    """Whether addresses that are not of the public Internet, and plain HTTP, are allowed."""
    timeout_seconds: float = MAX_SECONDS
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    """Pauses between attempts; after the last one the event is parked."""


def load(path: str) -> tuple[Endpoint, ...]:
    """Return the endpoints of the file at *path*, in its order.

    Raises:
        EndpointsProblem: the file cannot be read, or is not as described.
    """
    try:
        document = json.loads(Path(path).read_bytes(), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise EndpointsProblem([f"cannot be read: {error.strerror}"]) from error
    except _Repeated as error:
        raise EndpointsProblem([str(error)]) from error
    except (ValueError, RecursionError) as error:
        raise EndpointsProblem(["is not JSON in UTF-8"]) from error
    if not isinstance(document, dict):
        raise EndpointsProblem(["must hold a JSON object"])
    try:
        given: dict[str, Any] = _File().load(document)
    except ValidationError as error:
        raise EndpointsProblem(sorted(_flat(error.messages_dict))) from error
    return tuple(_endpoint(one) for one in given["endpoints"])


def _endpoint(given: dict[str, Any]) -> Endpoint:
    secrets = (given.pop("secret"), given.pop("previous_secret", None))
    for name, convert in (("events", frozenset), ("retry_seconds", tuple)):
        if name in given:
            given[name] = convert(given[name])
    return Endpoint(secrets=tuple(secret for secret in secrets if secret), **given)


class _Repeated(ValueError):
    """A JSON object has a name twice: readers would disagree on what it means."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Repeated("has a JSON object with a name twice")
    return dict(pairs)


def _secret(value: str) -> None:
    match = _SECRET.fullmatch(value)
    try:
        size = len(base64.b64decode(match[1], validate=True)) if match else 0
    except binascii.Error:
        size = 0
    if not _SECRET_BYTES[0] <= size <= _SECRET_BYTES[1]:
        raise ValidationError("must be whsec_ and 24 to 64 bytes in base64")


def _url(value: str) -> None:
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        bytes(parts.hostname or "", "idna")
    except ValueError:
        is_url = False
    if not is_url or not _PLAIN.fullmatch(value) or "@" in parts.netloc:
        raise ValidationError("must be an http(s) address without a user and a fragment")


def _number(least: float, most: float) -> validate.Range:
    return validate.Range(least, most, error=f"must be from {least:g} to {most:g}")


class _Number(fields.Float):
    """A number of JSON: a text is none."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> float:
        if isinstance(value, bool | str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class _Flag(fields.Field[bool]):
    """A boolean of JSON."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class _Endpoint(Schema):
    """An entry of the file."""

    name = fields.String(
        required=True,
        validate=validate.Regexp(rf"{_NAME}\Z", error=_NAME_WORDS),
    )
    url = fields.String(required=True, validate=_url)
    secret = fields.String(required=True, validate=_secret)
    previous_secret = fields.String(validate=_secret)
    events = fields.List(
        fields.String(validate=validate.OneOf(EVENTS, error=f"must be one of {', '.join(EVENTS)}")),
        validate=validate.Length(min=1, error="must name at least one"),
    )
    allow_private = _Flag()
    timeout_seconds = _Number(validate=_number(0.1, MAX_SECONDS))
    retry_seconds = fields.List(
        _Number(validate=_number(0.01, LONGEST_PAUSE_SECONDS)),
        validate=validate.Length(max=20, error="must hold at most 20"),
    )

    @validates_schema(skip_on_field_errors=True)
    def _encrypted(self, given: dict[str, Any], **_: Any) -> None:
        if urlsplit(given["url"]).scheme != "https" and not given.get("allow_private", False):
            raise ValidationError("must begin with https:// unless allow_private is true", "url")


class _File(Schema):
    endpoints = fields.List(
        fields.Nested(_Endpoint()),
        required=True,
        validate=validate.Length(min=1, max=MAX_ENDPOINTS, error=f"must hold 1 to {MAX_ENDPOINTS}"),
    )

    @validates_schema(skip_on_field_errors=True)
    def _distinct(self, given: dict[str, Any], **_: Any) -> None:
        names = [one["name"] for one in given["endpoints"]]
        if len(set(names)) < len(names):
            raise ValidationError("must have different names", "endpoints")


def _flat(messages: Mapping[Any, Any] | list[str], where: str = "") -> Iterator[str]:
    """Yield the messages of marshmallow with their place: `endpoints[0].url must …`."""
    if isinstance(messages, list):
        yield from (f"{where} {message}" for message in messages)
        return
    for key, below in messages.items():
        # A name that is none of ours may be a secret in the wrong place.
        name = (
            f"[{key}]" if isinstance(key, int) else str(key) if re.fullmatch("[a-z_]{1,30}", str(key)) else "(a name)"
        )
        yield from _flat(below, f"{where}{name}" if isinstance(key, int) or not where else f"{where}.{name}")
