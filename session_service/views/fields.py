"""The kinds of fields that the schemas are made of."""

import re
from datetime import datetime
from typing import Any, get_args

from marshmallow import ValidationError, fields, validate

from session_service.clock import as_text
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.records import Because, DirectoryState, EndReason, IpSource
from session_service.rules.devices import DeviceType
from session_service.rules.identifiers import MAX_ID, MAX_TEXT_LENGTH, is_storable

VOCABULARIES: dict[str, tuple[tuple[str, ...], str]] = {
    "DeviceType": (get_args(DeviceType), "The kind of device; TVs and consoles are `web`."),
    "IpSource": (get_args(IpSource), "Whether the service observed the address or the client reported it."),
    "EndReason": (get_args(EndReason), "Why a session ended."),
    "EventType": (("session.created", "session.ended"), "What happened."),
    "EndCause": (get_args(Because), "The cause that an admin or a service gave for an end."),
    "DirectoryState": (get_args(DirectoryState), "The result of this process's last call to the user directory."),
}
"""The values and the description of each named enumeration of the OpenAPI document."""

COMPONENT = "x-component"
"""Marks, while the document is built, what is to become a reference to a named component (`openapi.finished`)."""

STORABLE_PATTERN = r"^[^\u0000]*$"
"""`is_storable` as a regular expression of JSON Schema (ECMA-262), which cannot describe lone surrogates."""

_POSITION = re.compile(r"^([0-9]{1,18})-([0-9]{1,18})$")

_TRUE, _FALSE = {"true", "1"}, {"false", "0"}


def _storable(text: str) -> None:
    if not is_storable(text):
        raise ValidationError("Must not hold NUL characters or lone surrogates.")


class Text(fields.String):
    """An optional text from a client. Null counts as absent."""

    def __init__(self, description: str, example: str) -> None:
        super().__init__(
            allow_none=True,
            load_default=None,
            validate=[validate.Length(max=MAX_TEXT_LENGTH), _storable],
            metadata={"description": description, "example": example, "pattern": STORABLE_PATTERN},
        )


class SessionIds(fields.List[int]):
    """An optional array of session ids. Null counts as absent."""

    def __init__(self, description: str) -> None:
        super().__init__(
            _SessionId(strict=True, validate=validate.Range(1, MAX_ID), metadata={"format": "int64"}),
            allow_none=True,
            load_default=[],
            validate=validate.Length(max=MAX_ACTIVE_LISTED),
            metadata={"description": description, "example": [1]},
        )

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the ids of *value*, or refuse it as a whole: the messages of a list are by number, not by field."""
        try:
            return super().deserialize(value, *args, **kwargs) or []
        except ValidationError as error:
            raise ValidationError(f"Must be an array of at most {MAX_ACTIVE_LISTED} session ids.") from error


class _SessionId(fields.Integer):
    def _validated(self, value: Any) -> Any:
        if type(value) is not int:  # marshmallow accepts "1", 1.0 and true
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Flag(fields.Boolean):
    """A boolean query parameter: only `true`, `false`, `1` and `0`, in upper or lower case."""

    def __init__(self, description: str) -> None:
        super().__init__(truthy=_TRUE, falsy=_FALSE, load_default=False, metadata={"description": description})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value.lower() if isinstance(value, str) else value, attr, data, **kwargs)


class Instant(fields.DateTime):
    """An instant: ISO 8601 in UTC with `Z`."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else as_text(value)


def instant(description: str, example: str, *, nullable: bool = False) -> Instant:
    """Return a required instant."""
    return Instant(required=True, allow_none=nullable, metadata={"description": description, "example": example})


class Position(fields.String):
    """A position of the feed: two numbers. Callers only repeat it."""

    def __init__(self, description: str) -> None:
        super().__init__(load_default=None, metadata={"description": description, "pattern": _POSITION.pattern})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        match = _POSITION.fullmatch(super()._deserialize(value, attr, data, **kwargs))
        if match is None:
            raise ValidationError("Not a position of the feed.")
        return int(match[1]), int(match[2])


class UserId(fields.Field[int | str]):
    """An integer, or a string with `USER_ID_TYPE=string`."""

    def __init__(self, *, allow_none: bool = False) -> None:
        super().__init__(required=True, allow_none=allow_none, metadata={COMPONENT: "UserId"})


class Vocabulary(fields.String):
    """One of the values of a named enumeration."""

    def __init__(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        described = {"description": description} if description else {}
        values = VOCABULARIES[name][0]
        super().__init__(validate=validate.OneOf(values), metadata={COMPONENT: name, **described}, **kwargs)
