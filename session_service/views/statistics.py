"""What admins and services see of all sessions together: numbers, and no user."""

from typing import Any, get_args

from marshmallow import Schema, fields, validate

from session_service.components import components
from session_service.records import CreationReason, EndReason
from session_service.services.statistics import DEFAULT_PERIODS, MAX_PERIODS, WIDTH, statistics
from session_service.views.admin import ADMIN_GUARDED, SECURITY
from session_service.views.fields import instant
from session_service.views.guards import caller, require_admin_or_service
from session_service.views.parsing import StrictBlueprint, refuse_large_body
from session_service.views.problems import documented
from session_service.views.schemas import Answer
from session_service.webhooks.status import statuses

bp = StrictBlueprint(
    "statistics", __name__, url_prefix="/sessions", description="All sessions in numbers, for admins and services."
)
bp.before_request(require_admin_or_service)
bp.before_request(refuse_large_body)


class StatisticsQuery(Schema):
    """Which periods to count."""

    by = fields.String(
        load_default="hour",
        validate=validate.OneOf(tuple(WIDTH)),
        metadata={"description": "Whether a period is an hour or a day, in UTC."},
    )
    last = fields.Integer(
        load_default=None,
        validate=validate.Range(1, MAX_PERIODS),
        metadata={
            "description": "How many periods, the present one included; without it 24 hours or 7 days.",
            "example": 24,
        },
    )


def _numbers(reasons: tuple[str, ...]) -> dict[str, fields.Field[int]]:
    return {reason: fields.Integer(required=True, metadata={"example": 1}) for reason in reasons}


CreatedNumbers = Schema.from_dict(dict(_numbers(get_args(CreationReason))), name="CreatedNumbers")
EndedNumbers = Schema.from_dict(dict(_numbers(get_args(EndReason))), name="EndedNumbers")


class StatisticsPeriod(Answer):
    """One hour or day. The last one goes up to this answer."""

    since = instant("When it begins.", "2025-02-08T15:00:00Z")
    created = fields.Nested(
        CreatedNumbers, required=True, metadata={"description": "Sessions that were created, by the way."}
    )
    ended = fields.Nested(EndedNumbers, required=True, metadata={"description": "Sessions that ended, by the reason."})
    active = fields.Integer(
        required=True, metadata={"description": "Sessions that were active at its end.", "example": 1204}
    )


class WebhookLag(Answer):
    """How far one endpoint of the webhooks is behind."""

    endpoint = fields.String(required=True, metadata={"description": "Its name in the file.", "example": "mail"})
    behind_seconds = fields.Float(
        required=True, metadata={"description": "How long the oldest event waits to be sent.", "example": 0.0}
    )
    parked = fields.Integer(required=True, metadata={"description": "Events that it did not take.", "example": 0})


class StatisticsAnswer(Answer):
    """The periods, the oldest first."""

    by = fields.String(required=True, metadata={"example": "hour"})
    since = instant("When the first period begins.", "2025-02-07T16:00:00Z")
    until = instant("When this answer was made.", "2025-02-08T15:45:00Z")
    events_since = instant(
        "Since when changes are on record; periods before it are incomplete. Null without any change.",
        "2025-02-01T03:17:00Z",
        nullable=True,
    )
    feed_behind_seconds = fields.Float(
        required=True,
        metadata={"description": "How long the oldest event waits that the feed cannot give yet.", "example": 0.0},
    )
    webhooks = fields.List(fields.Nested(WebhookLag), required=True)
    periods = fields.List(fields.Nested(StatisticsPeriod), required=True)


@bp.get("/statistics")
@bp.arguments(StatisticsQuery(), location="query")
@bp.response(200, StatisticsAnswer())
@bp.doc(operationId="getStatistics", security=SECURITY, responses=documented(*ADMIN_GUARDED))
def show_statistics(query: dict[str, Any]) -> dict[str, Any]:
    """Count sign-ins, ends by reason, and active sessions, by hour or by day; and say how far readers are behind.

    The numbers come from the events of the last `EVENT_RETENTION_DAYS`, and from the sessions that are open.
    """
    by = query["by"]
    last = query["last"] or DEFAULT_PERIODS[by]
    webhooks = [
        {"endpoint": one.state.name, "behind_seconds": one.behind_seconds, "parked": one.parked}
        for one in statuses(caller.now)
    ]
    return {**statistics(components().settings, by=by, periods=last, now=caller.now), "webhooks": webhooks}
