"""The marshmallow schemas of requests and answers. Their descriptions are part of the OpenAPI document."""

from typing import Any, cast

from marshmallow import EXCLUDE, Schema, fields

from session_service.rules.identifiers import is_short_text
from session_service.views.fields import Flag, SessionIds, Text, UserId, Vocabulary, instant


class Answer(Schema):
    """An answer. Its fields describe the values, which are plain already and go out as they are.

    To walk them again costs more than the database does. `tests/integration/test_described_answers.py` compares both.
    """

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return *obj*."""
        return obj


class SessionCreate(Schema):
    """The client's description of its device. What the request itself shows takes precedence over it."""

    device_fingerprint = Text(
        "An identifier chosen by the client. It identifies no device: many browsers send the same.", "b3f1c2"
    )
    device_name = Text("A name for the device, or its raw user agent.", "Office laptop")
    device_type = Text("One of web, mobile, tablet, bot; any other value is ignored.", "web")
    browser = Text("The browser's name.", "Chrome")
    ip_address = Text("The client's own idea of its address; `unknown` is ignored.", "203.0.113.7")
    end = SessionIds("Sessions of the user's own that end in the same transaction, to make room for this one.")


_SIGN_IN = SessionCreate()
_TEXTS = {name: None for name, field in _SIGN_IN.fields.items() if isinstance(field, Text)}


def load_sign_in(claimed: Any) -> dict[str, Any]:
    """Return what `SessionCreate` loads from a parsed body; plain texts do not need marshmallow.

    Raises:
        ValidationError: as `SessionCreate` does.
    """
    if type(claimed) is dict and claimed.keys() <= _TEXTS.keys() and all(map(_is_plain, claimed.values())):
        return {**_TEXTS, **claimed, "end": []}
    return cast(dict[str, Any], _SIGN_IN.load(claimed))


def _is_plain(value: object) -> bool:
    return type(value) is str and is_short_text(value)


class SessionResponse(Answer):
    """A session: one signed-in device of one user."""

    id = fields.Integer(
        required=True, metadata={"description": "Never reused; ascending in the order of creation.", "example": 1}
    )
    user_id = UserId()
    device_name = fields.String(required=True, metadata={"example": "Chrome on Windows 10"})
    device_type = Vocabulary("DeviceType", required=True)
    browser = fields.String(required=True, metadata={"example": "Chrome"})
    os = fields.String(required=True, allow_none=True, metadata={"example": "Windows 10"})
    ip_address = fields.String(required=True, allow_none=True, metadata={"example": "192.168.1.1"})
    ip_source = Vocabulary("IpSource", required=True)
    created_at = instant("When the session was created.", "2025-02-08T10:30:00Z")
    last_activity = instant(
        "When it was last used. Not every use is written: see `ACTIVITY_INTERVAL_SECONDS`.", "2025-02-08T15:45:00Z"
    )
    expires_at = instant("When its lifetime ends; never changes.", "2025-03-10T10:30:00Z")
    idle_expires_at = instant(
        "When it ends without further activity; null if the idle timeout is off.",
        "2025-02-15T15:45:00Z",
        nullable=True,
    )
    is_active = fields.Boolean(required=True, metadata={"example": True})
    is_current = fields.Boolean(
        required=True, metadata={"description": "Whether this call belongs to it.", "example": False}
    )
    ended_at = instant("When it ended; null while it is active.", "2025-02-08T16:00:00Z", nullable=True)
    end_reason = Vocabulary("EndReason", required=True, allow_none=True)
    ended_by = fields.String(
        allow_none=True,
        metadata={
            "description": "For admins and services only: a user id, or `service:` and a name; null if a time limit "
            "ended the session or that user was erased.",
            "example": "74",
        },
    )
    because = Vocabulary("EndCause", "For admins and services only; null if no cause was given.", allow_none=True)


class SessionCreated(SessionResponse):
    """The new session, and the sessions that the device limit ended for it."""

    evicted = fields.List(
        fields.Nested(SessionResponse),
        required=True,
        metadata={"description": "The sessions that the device limit ended for this one."},
    )


EVERYWHERE = "Answer one lease later, when no backend says yes to what has ended."


def everywhere_field() -> fields.Boolean:
    """Return the member of an answer that says whether no backend says yes any more."""
    description = "Only if asked for. False: too many calls waited, so this one did not."
    return fields.Boolean(metadata={"description": description, "example": True})


def if_asked(everywhere: bool | None) -> dict[str, object]:
    """Return that member with its value; none if it was not asked for."""
    return {} if everywhere is None else {"everywhere": everywhere}


class Closed(Answer):
    """The session has ended, by this call or before."""

    success = fields.Boolean(required=True, metadata={"example": True})
    message = fields.String(required=True, metadata={"example": "Session closed successfully"})
    everywhere = everywhere_field()


class ClosedMany(Closed):
    """The number of sessions that the call ended."""

    message = fields.String(required=True, metadata={"example": "2 sessions closed successfully"})
    closed = fields.Integer(required=True, metadata={"example": 2})


def closed(message: str, everywhere: bool | None = None) -> dict[str, object]:
    """Return the answer `Closed` with *message*; *everywhere* is None if it was not asked for."""
    return {"success": True, "message": message, **if_asked(everywhere)}


def closed_many(number: int, everywhere: bool | None = None) -> dict[str, object]:
    """Return the answer `ClosedMany` for *number* sessions."""
    sessions = "1 session" if number == 1 else f"{number} sessions"
    return {**closed(f"{sessions} closed successfully", everywhere), "closed": number}


class DeviceCount(Answer):
    """The number of the user's active sessions, and the most allowed."""

    active_devices = fields.Integer(required=True, metadata={"example": 2})
    max_devices = fields.Integer(required=True, metadata={"example": 3})


class Validation(Answer):
    """The token's session is active, or the token has none and `UNKNOWN_SESSION_POLICY` allows that."""

    active = fields.Boolean(required=True, metadata={"example": True})
    session_id = fields.Integer(required=True, allow_none=True, metadata={"example": 1})
    user_id = UserId()
    expires_at = instant(
        "When the session's lifetime ends; null without a session.", "2025-03-10T10:30:00Z", nullable=True
    )
    idle_expires_at = instant(
        "When it ends without further activity; null without a session, or if the idle timeout is off.",
        "2025-02-15T15:45:00Z",
        nullable=True,
    )


class IntrospectionRequest(Schema):
    """The form of RFC 7662 section 2.1. Other fields are ignored."""

    class Meta:
        """Unknown fields must be ignored (RFC 6749 section 3.2)."""

        unknown = EXCLUDE

    token = fields.String(required=True, metadata={"description": "The access token to check."})
    token_type_hint = fields.String(metadata={"description": "Ignored.", "example": "access_token"})


class IntrospectionAnswer(Answer):
    """The answer of RFC 7662 section 2.2. For a token that is not active, it contains only `active`."""

    active = fields.Boolean(required=True, metadata={"example": True})
    sub = fields.String(metadata={"description": "The user's id.", "example": "74"})
    exp = fields.Integer(metadata={"description": "When the token expires.", "example": 1739010600})
    session_id = fields.Integer(allow_none=True, metadata={"description": "Null without a session.", "example": 1})
    sid = fields.String(metadata={"description": "The token's `sid`, if it has one.", "example": "08a5019c"})


class IncludeInactive(Schema):
    """The query parameters of lists."""

    include_inactive = Flag("Also list the newest 100 ended sessions.")


class EndEverywhere(Schema):
    """The query parameter of every call that ends sessions."""

    everywhere = Flag(EVERYWHERE)


class EndCause(EndEverywhere):
    """The query by which an admin or a service says why it ends a user's sessions."""

    because = Vocabulary("EndCause", "For the person who reads it on a device that was signed out.")


class ExcludeCurrent(EndEverywhere):
    """The query parameters of `logout-all`."""

    exclude_current = Flag("Do not end the session that this call belongs to.")


class Health(Answer):
    """The state of the service."""

    status = fields.String(required=True)


class Readiness(Health):
    """The service can serve requests. Includes the state of the user directory, and warnings."""

    directory = Vocabulary("DirectoryState", "It does not decide.", required=True)
    warnings = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Problems that do not prevent service but should be corrected.", "example": []},
    )
