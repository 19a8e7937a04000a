"""The marshmallow schemas of the feed."""

from marshmallow import Schema, fields

from session_service.views.fields import Position, UserId, Vocabulary, instant
from session_service.views.schemas import Answer


class FeedQuestion(Schema):
    """The query of the feed."""

    after = Position("The `position` of the last answer. Without it, only the present position is returned.")


class EventDataAnswer(Answer):
    """What happened to which session."""

    session_id = fields.Integer(required=True, metadata={"example": 1})
    user_id = UserId(allow_none=True)
    reason = fields.String(
        required=True,
        metadata={"description": "`sign_in` or `adopted`; or an `EndReason`.", "example": "revoked"},
    )
    actor = fields.String(
        required=True,
        metadata={
            "description": "`user`, `admin`, `service:` and its name, `policy` (the device limit) or `system` (a time "
            "limit).",
            "example": "user",
        },
    )
    successor_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The session that took its place.", "example": None}
    )
    because = Vocabulary("EndCause", required=True, allow_none=True)
    device_name = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null if the user was erased.", "example": "Chrome on Windows 10"},
    )
    new_device = fields.Boolean(
        metadata={
            "description": "With `session.created`: no earlier session of this user, of those on record, was on this "
            "device.",
            "example": True,
        },
    )


class EventAnswer(Answer):
    """A session was created or has ended."""

    id = fields.Integer(required=True, metadata={"description": "Identifies the event.", "example": 1})
    type = Vocabulary("EventType", required=True)
    timestamp = instant("When it happened. A time limit may be recorded later.", "2025-02-08T16:00:00Z")
    data = fields.Nested(EventDataAnswer, required=True)


class FeedAnswer(Answer):
    """Events after a position, oldest first."""

    events = fields.List(fields.Nested(EventAnswer), required=True)
    position = fields.String(required=True, metadata={"description": "Opaque; for `after`.", "example": "4711-0"})
    complete = fields.Boolean(
        required=True,
        metadata={"description": "Whether each event that was committed before the question is in an answer by now."},
    )
    lease_seconds = fields.Float(
        required=True,
        metadata={
            "description": "How long remembered answers may be trusted, from the beginning of the last complete "
            "question; 0: not at all.",
            "example": 1.0,
        },
    )
