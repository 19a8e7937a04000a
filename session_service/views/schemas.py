"""What goes over the wire, in marshmallow: `SessionCreate` comes in, `SessionResponse` and the small answers go out."""

from datetime import datetime
from typing import Any, get_args

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from session_service.clock import as_text
from session_service.records import Because, DirectoryState, EndReason
from session_service.rules.identifiers import MAX_TEXT_LENGTH, is_storable

DEVICE_TYPES = ("web", "mobile", "tablet", "bot", "unknown")
END_REASONS = get_args(EndReason)
CAUSES = get_args(Because)
STORABLE_PATTERN = r"^[^\u0000]*$"
"""`is_storable`, as far as JSON Schema's regular expressions (ECMA-262) go: a lone surrogate is no character there."""

_TRUE, _FALSE = {"true", "1"}, {"false", "0"}


def _storable(text: str) -> None:
    if not is_storable(text):
        raise ValidationError("Must not hold NUL characters or lone surrogates.")


class Text(fields.String):
    """An optional text from a client; null is as good as absent."""

    def __init__(self, description: str, example: str) -> None:
        super().__init__(
            allow_none=True,
            load_default=None,
            validate=[validate.Length(max=MAX_TEXT_LENGTH), _storable],
            metadata={"description": description, "example": example, "pattern": STORABLE_PATTERN},
        )


class Flag(fields.Boolean):
    """A switch in the query: `true`, `false`, `1` or `0`, in any case, and nothing else."""

    def __init__(self, description: str) -> None:
        super().__init__(truthy=_TRUE, falsy=_FALSE, load_default=False, metadata={"description": description})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value.lower() if isinstance(value, str) else value, attr, data, **kwargs)


class Instant(fields.DateTime):
    """A point in time: UTC, ISO 8601 with `Z`."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else as_text(value)


def _instant(description: str, example: str, *, nullable: bool = False) -> Instant:
    return Instant(required=True, allow_none=nullable, metadata={"description": description, "example": example})


class UserId(fields.Field[int | str]):
    """An integer, or a text where `USER_ID_TYPE=string`."""


class SessionCreate(Schema):
    """What a client may say of its device; what the request itself shows is believed before any of it."""

    device_fingerprint = Text("An identifier that the client made up; many browsers send the same.", "b3f1c2")
    device_name = Text("A name for the device, or its raw user agent.", "Office laptop")
    device_type = Text("One of web, mobile, tablet, bot; anything else tells nothing.", "web")
    browser = Text("The browser's name.", "Chrome")
    ip_address = Text("The address that the client believes to have; `unknown` tells nothing.", "203.0.113.7")


class SessionResponse(Schema):
    """A session: one signed-in device of one user."""

    id = fields.Integer(
        required=True, metadata={"description": "Never used twice; gives the order of creation.", "example": 1}
    )
    user_id = UserId(
        required=True, metadata={"description": "An integer, or a text where `USER_ID_TYPE=string`.", "example": 74}
    )
    device_name = fields.String(required=True, metadata={"example": "Chrome on Windows 10"})
    device_type = fields.String(required=True, validate=validate.OneOf(DEVICE_TYPES), metadata={"example": "web"})
    browser = fields.String(required=True, metadata={"example": "Chrome"})
    os = fields.String(required=True, allow_none=True, metadata={"example": "Windows 10"})
    ip_address = fields.String(required=True, allow_none=True, metadata={"example": "192.168.1.1"})
    ip_source = fields.String(
        required=True,
        validate=validate.OneOf(("observed", "reported")),
        metadata={
            "description": "Whether the address was seen by the service or told by the client.",
            "example": "observed",
        },
    )
    created_at = _instant("When the session was opened.", "2025-02-08T10:30:00Z")
    last_activity = _instant("When it was last used, as of the last write.", "2025-02-08T15:45:00Z")
    expires_at = _instant("The absolute end; never moves.", "2025-03-10T10:30:00Z")
    idle_expires_at = _instant(
        "When it ends without further activity; null where the idle timeout is off.",
        "2025-02-15T15:45:00Z",
        nullable=True,
    )
    is_active = fields.Boolean(required=True, metadata={"example": True})
    is_current = fields.Boolean(
        required=True, metadata={"description": "Whether this call came from it.", "example": False}
    )
    ended_at = _instant("When it ended, null while it is active.", "2025-02-08T16:00:00Z", nullable=True)
    end_reason = fields.String(
        required=True, allow_none=True, validate=validate.OneOf(END_REASONS), metadata={"example": "logout"}
    )
    ended_by = fields.String(
        allow_none=True,
        metadata={
            "description": "For admins only: the user's id or `service:` and a name; null where time ran out, and "
            "where that user was erased.",
            "example": "74",
        },
    )
    because = fields.String(
        allow_none=True,
        validate=validate.OneOf(CAUSES),
        metadata={
            "description": "For admins only: the cause, where one was given.",
            "example": "device_lost",
        },
    )


class SessionCreated(SessionResponse):
    """The new session, and who had to give way for it."""

    evicted = fields.List(
        fields.Nested(SessionResponse),
        required=True,
        metadata={"description": "The sessions that the device limit ended for this one."},
    )


class Closed(Schema):
    """That something was closed, or already had been."""

    success = fields.Boolean(required=True, metadata={"example": True})
    message = fields.String(required=True, metadata={"example": "Session closed successfully"})


class ClosedMany(Closed):
    """How many sessions a call closed."""

    message = fields.String(required=True, metadata={"example": "2 sessions closed successfully"})
    closed = fields.Integer(required=True, metadata={"example": 2})


def closed(message: str) -> dict[str, object]:
    """Return the answer that something is closed."""
    return {"success": True, "message": message}


def closed_many(number: int) -> dict[str, object]:
    """Return the answer that *number* sessions were closed."""
    sessions = "1 session" if number == 1 else f"{number} sessions"
    return {**closed(f"{sessions} closed successfully"), "closed": number}


class DeviceCount(Schema):
    """How many places are taken, of how many."""

    active_devices = fields.Integer(required=True, metadata={"example": 2})
    max_devices = fields.Integer(required=True, metadata={"example": 3})


class Validation(Schema):
    """That a token's session is alive, or that it has none and may do without."""

    active = fields.Boolean(required=True, metadata={"example": True})
    session_id = fields.Integer(required=True, allow_none=True, metadata={"example": 1})
    user_id = UserId(required=True, metadata={"example": 74})
    expires_at = _instant("The session's absolute end; null without one.", "2025-03-10T10:30:00Z", nullable=True)


class IntrospectionRequest(Schema):
    """The form of RFC 7662 section 2.1; other fields of it are ignored."""

    class Meta:
        """Fields of extensions are not for this service to refuse (RFC 6749 section 3.2)."""

        unknown = EXCLUDE

    token = fields.String(required=True, metadata={"description": "The access token in question."})
    token_type_hint = fields.String(metadata={"description": "Not needed, and ignored.", "example": "access_token"})


class IntrospectionAnswer(Schema):
    """The answer of RFC 7662 section 2.2: of a token that is not active, nothing else is told."""

    active = fields.Boolean(required=True, metadata={"example": True})
    sub = fields.String(metadata={"description": "The user's id.", "example": "74"})
    exp = fields.Integer(metadata={"description": "When the token expires.", "example": 1739010600})
    session_id = fields.Integer(allow_none=True, metadata={"description": "Null without one.", "example": 1})
    sid = fields.String(metadata={"description": "The token's own `sid`, where it has one.", "example": "08a5019c"})


class IncludeInactive(Schema):
    """The query of lists."""

    include_inactive = Flag("Add the newest 100 ended sessions.")


class EndCause(Schema):
    """The query by which an admin or a service says why it ends a user's sessions."""

    because = fields.String(
        load_default=None,
        validate=validate.OneOf(CAUSES),
        metadata={
            "description": "The cause, for the person who reads it on the device.",
            "example": "device_lost",
        },
    )


class ExcludeCurrent(Schema):
    """The query of `logout-all`."""

    exclude_current = Flag("Leave the session that this call came from as it is.")


class Health(Schema):
    """How the service is."""

    status = fields.String(required=True)


class Readiness(Health):
    """Whether requests can be served, and what is known of the auth server as a directory of users."""

    directory = fields.String(
        required=True,
        validate=validate.OneOf(get_args(DirectoryState)),
        metadata={"description": "How the auth server answered this process last; it decides nothing."},
    )
    warnings = fields.List(
        fields.String(), required=True, metadata={"description": "What works, but should be changed.", "example": []}
    )
