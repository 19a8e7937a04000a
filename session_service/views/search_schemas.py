"""The schemas of a search by criteria, and of ending what was found. `rules.criteria_texts` reads the criteria."""

from collections.abc import Mapping
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate

from session_service.components import components
from session_service.rules.criteria import CURSOR_PATTERN, parse_cursor
from session_service.rules.criteria_texts import CriteriaProblem, parse_criteria
from session_service.rules.identifiers import MAX_TEXT_LENGTH
from session_service.services.search import MAX_PAGE
from session_service.views.fields import COMPONENT, STORABLE_PATTERN, Vocabulary
from session_service.views.schemas import Answer, SessionResponse, everywhere_field

MAX_EXPECTED = 2**31 - 1


class _Plain(fields.Field[Any]):
    """A value of one JSON type, described as such. `rules.criteria_texts` reads it."""

    def __init__(self, kind: type, description: str, **described: Any) -> None:
        names = {str: "string", bool: "boolean"}
        super().__init__(metadata={"description": description, "type": names[kind], **described})
        self._kind = kind

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        # A query has texts only; in JSON, true is no text and 1 is no boolean.
        if self.root.is_json and type(value) is not self._kind:  # type: ignore[union-attr]
            raise ValidationError(f"Not a valid {self.metadata['type']}.")
        return str(value).lower() if self._kind is bool else value


class _UserId(fields.Field[str]):
    """A user's id as callers write it: in JSON a number, unless `USER_ID_TYPE` is `string`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        kind = str if not self.root.is_json or components().settings.USER_ID_TYPE == "string" else int  # type: ignore[union-attr]
        if type(value) is not kind:
            raise ValidationError("Not a user id.")
        return str(value)


def _text(description: str, example: str) -> _Plain:
    described = {"minLength": 1, "maxLength": MAX_TEXT_LENGTH, "pattern": STORABLE_PATTERN}
    return _Plain(str, description, example=example, **described)


def _instant(description: str) -> _Plain:
    return _Plain(str, description, format="date-time", example="2025-02-08T16:00:00Z")


class _Criteria(Schema):
    """What a session must have, all of it. One of the first seven criteria is needed."""

    is_json = False

    user_id = _UserId(metadata={COMPONENT: "UserId"})
    address = _Plain(
        str,
        "An IP address: sessions that were created from there (IPv6: from its /64).",
        anyOf=[{"format": "ipv4"}, {"format": "ipv6"}],
        example="203.0.113.7",
    )
    network = _Plain(
        str,
        "A network exactly as it is stored: an IPv4 /32 or IPv6 /64, with `MASK_ADDRESSES` a /24 or /48.",
        pattern=r"^[0-9A-Fa-f:.]+/[0-9]{1,3}$",
        example="2001:db8:1:2::/64",
    )
    created_after = _instant("Created at this instant or later.")
    created_before = _instant("Created before this instant.")
    ended_after = _instant("Ended at this instant or later.")
    ended_before = _instant("Ended before this instant.")
    device_name = _text("The device's name, in full.", "Chrome on Windows 10")
    device_type = Vocabulary("DeviceType")
    browser = _text("The browser's name, in full.", "Chrome")
    os = _text("The operating system's name, in full.", "Windows 10")
    reason = Vocabulary("EndReason")
    active = _Plain(bool, "Whether the session is active.")

    @post_load
    def _read(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Replace the texts by `criteria`."""
        settings = components().settings
        given = {name: data.pop(name) for name in _Criteria._declared_fields if name in data}
        try:
            criteria = parse_criteria(given, kind=settings.USER_ID_TYPE, masked=settings.MASK_ADDRESSES)
        except CriteriaProblem as problem:
            raise ValidationError(dict(problem.errors)) from problem
        return {"criteria": criteria, **data}


class _CursorField(fields.String):
    """A cursor. Callers only repeat it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        cursor = parse_cursor(super()._deserialize(value, attr, data, **kwargs))
        if cursor is None:
            raise ValidationError("Not a cursor of a search.")
        return cursor


class SearchQuery(_Criteria):
    """The query of a search."""

    limit = fields.Integer(
        load_default=MAX_PAGE,
        validate=validate.Range(1, MAX_PAGE),
        metadata={"description": "Most sessions of the page."},
    )
    after = _CursorField(
        load_default=None,
        metadata={"description": "`next` of the page before, with the same criteria.", "pattern": CURSOR_PATTERN},
    )

    @pre_load
    def _refuse_unknown(self, data: Mapping[str, Any], **_kwargs: Any) -> Mapping[str, Any]:
        """Refuse a misspelt criterion: to ignore it would show sessions that were not asked for."""
        unknown = sorted(set(request.args) - set(self.fields))
        if unknown:
            raise ValidationError({name: ["Unknown parameter."] for name in unknown})
        return data


class SearchPage(Answer):
    """A page of sessions that match."""

    sessions = fields.List(fields.Nested(SessionResponse), required=True)
    next = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The cursor of the next page; null at the end. A page may be short, even empty, before it.",
            "example": "0-74",
        },
    )


class EndCriteria(_Criteria):
    """Which sessions to end. Either `dry_run` is true, or `expected` is given."""

    is_json = True

    dry_run = _Plain(bool, "Only count what would end.")
    expected = fields.Integer(
        strict=True,
        validate=validate.Range(0, MAX_EXPECTED),
        metadata={"description": "The count of a dry run, or `remaining` of the call before.", "example": 12},
    )
    because = Vocabulary("EndCause", "For the people who read it on a device that was signed out.")

    @pre_load
    def _require_one(self, data: Any, **_kwargs: Any) -> Any:
        if isinstance(data, Mapping) and (data.get("dry_run") is True) == ("expected" in data):
            words = "Give either dry_run: true, or expected: the count of a dry run."
            raise ValidationError({"expected": [words]})
        return data


class EndedByCriteria(Answer):
    """With `dry_run`, `count`; otherwise what has ended and what remains."""

    count = fields.Integer(metadata={"description": "Active sessions that match.", "example": 12})
    ended = fields.Integer(metadata={"description": "Sessions that this call ended.", "example": 12})
    remaining = fields.Integer(
        metadata={
            "description": "Sessions that are left: repeat the call, with this as `expected`, until it is 0.",
            "example": 0,
        }
    )
    everywhere = everywhere_field()
