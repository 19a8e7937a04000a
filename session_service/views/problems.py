"""Every error, in one shape: `application/problem+json` (RFC 9457), by the one table that knows statuses."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, jsonify
from flask_smorest import Api
from marshmallow import INCLUDE, Schema, fields
from werkzeug.exceptions import HTTPException

from session_service import errors
from session_service.auth_server.tokens import AuthServerTokens
from session_service.errors import SessionServiceError

CONTENT_TYPE = "application/problem+json"
CODE_HEADER = "X-Session-Code"

STATUS: dict[type[SessionServiceError], int] = {
    errors.InvalidJson: 400,
    errors.ValidationFailed: 422,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.TokenMissing: 401,
    errors.TokenInvalid: 401,
    errors.TokenExpired: 401,
    errors.SessionEnded: 401,
    errors.SessionUnknown: 401,
    errors.LimitRefusesAdoption: 401,
    errors.RateRefusesAdoption: 401,
    errors.ServiceRequired: 401,
    errors.AdminRequired: 403,
    errors.RouteNotFound: 404,
    errors.SessionNotFound: 404,
    errors.UserNotFound: 404,
    errors.NoCurrentSession: 404,
    errors.MethodNotAllowed: 405,
    errors.CurrentSessionUnknown: 409,
    errors.SessionLimitReached: 409,
    errors.SignInRateExceeded: 429,
    errors.InternalError: 500,
    errors.DatabaseUnavailable: 503,
    errors.AuthServerUnavailable: 503,
    errors.NotReady: 503,
}

_OF_THE_FRAMEWORK: dict[int | None, type[SessionServiceError]] = {
    400: errors.InvalidJson,
    404: errors.RouteNotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
}
"""What the router and the framework raise by themselves; any other 4xx of theirs becomes a `ValidationFailed`."""

_CHALLENGES: dict[type[SessionServiceError], str] = {
    # RFC 6750 section 3.1: no error code where the request carried no credentials at all.
    errors.TokenMissing: 'Bearer realm="sessions"',
    errors.TokenInvalid: 'Bearer realm="sessions", error="invalid_token"',
    errors.TokenExpired: 'Bearer realm="sessions", error="invalid_token"',
    errors.SessionEnded: 'Bearer realm="sessions", error="invalid_token"',
    errors.SessionUnknown: 'Bearer realm="sessions", error="invalid_token"',
    errors.LimitRefusesAdoption: 'Bearer realm="sessions", error="invalid_token"',
    errors.RateRefusesAdoption: 'Bearer realm="sessions", error="invalid_token"',
    errors.ServiceRequired: 'Basic realm="sessions", charset="UTF-8"',
}

_log = logging.getLogger(__name__)


class Problem(Schema):
    """An error (RFC 9457); programs go by `code` and ignore members that they do not know."""

    class Meta:
        """Errors may carry more than is described here (RFC 9457 section 3.2)."""

        unknown = INCLUDE

    type = fields.String(required=True, metadata={"example": "about:blank"})
    title = fields.String(required=True, metadata={"description": "The status in words.", "example": "Not Found"})
    status = fields.Integer(required=True, metadata={"example": 404})
    detail = fields.String(required=True, metadata={"description": "For people.", "example": "Session not found"})
    code = fields.String(required=True, metadata={"description": "For programs.", "example": "session_not_found"})
    request_id = fields.String(required=True, metadata={"description": "The same as in the service's log."})
    errors = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": "With `validation_failed`: what is wrong, by field.",
            "example": {"browser": ["Not a valid string."]},
        },
    )
    end_reason = fields.String(metadata={"description": "With `session_ended`: why it ended.", "example": "limit"})
    ended_at = fields.DateTime(
        metadata={"description": "With `session_ended`: when.", "example": "2025-02-08T16:00:00Z"}
    )
    device_name = fields.String(
        metadata={"description": "With `session_ended`: the device.", "example": "Chrome on Windows 10"}
    )
    successor_device_name = fields.String(
        metadata={
            "description": "With `session_ended` for `limit`: the device of the newer sign-in.",
            "example": "Safari on iPhone",
        }
    )
    because = fields.String(
        metadata={
            "description": "With `session_ended` for `admin`: the cause, if given.",
            "example": "security",
        }
    )
    missing = fields.List(
        fields.String(), metadata={"description": "With `not_ready`: what is missing.", "example": ["database"]}
    )


class ProblemApi(Api):
    """flask-smorest's documented API, with problem details for its own errors and everybody else's."""

    DEFAULT_ERROR_RESPONSE_NAME = None  # each operation describes its own errors, by `documented`

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer what the router and the framework raise."""
        return http_problem(error)

    def _register_responses(self) -> None:
        self.spec.components.schema("Problem", schema=Problem)

    def _register_pagination_header(self) -> None:
        """Describe no pages: lists are capped."""


def init_app(app: Flask, jwt: AuthServerTokens) -> None:
    """Answer every error of *app* as a problem document."""
    app.register_error_handler(SessionServiceError, problem)
    app.register_error_handler(Exception, _unexpected)
    jwt.unauthorized_loader(lambda _reason: problem(errors.TokenMissing()))
    jwt.invalid_token_loader(lambda _reason: problem(errors.TokenInvalid()))
    jwt.expired_token_loader(lambda _header, _claims: problem(errors.TokenExpired()))
    jwt.needs_fresh_token_loader(lambda _header, _claims: problem(errors.TokenInvalid()))
    jwt.revoked_token_loader(lambda _header, _claims: problem(errors.TokenInvalid()))
    jwt.token_verification_failed_loader(lambda _header, _claims: problem(errors.TokenInvalid()))
    jwt.user_lookup_error_loader(lambda _header, _claims: problem(errors.TokenInvalid()))


def problem(error: SessionServiceError) -> Response:
    """Return *error* as the caller sees it."""
    status = STATUS[type(error)]
    g.error_code = error.code
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
        "request_id": g.request_id,
        **error.members,
    }
    response = jsonify(body)
    response.status_code, response.content_type = status, CONTENT_TYPE
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if type(error) in _CHALLENGES:
        response.headers["WWW-Authenticate"] = _CHALLENGES[type(error)]
        # Gateways that ask before they forward pass headers on, but no bodies.
        response.headers[CODE_HEADER] = error.code
    return response


def http_problem(error: HTTPException) -> Response:
    """Return an error of the router or the framework; headers such as ``Allow`` are kept, its words are not."""
    if error.code is not None and error.code >= 500:
        return _unexpected(error)
    kind = _OF_THE_FRAMEWORK.get(error.code, errors.ValidationFailed)
    response = problem(kind())
    response.headers.extend((name, value) for name, value in error.get_headers() if name.lower() == "allow")
    return response


def _unexpected(error: Exception) -> Response:
    """Answer a fault of our own: the log gets everything, the caller nothing but the request's id."""
    _log.error("unexpected error in request %s", g.request_id, exc_info=error)
    return problem(errors.InternalError())


def documented(*kinds: type[SessionServiceError]) -> dict[str, Any]:
    """Return the OpenAPI responses of an operation that answers these errors, with an example of each code."""
    responses: dict[str, Any] = {}
    for kind in sorted(kinds, key=lambda kind: STATUS[kind]):
        status = STATUS[kind]
        response = responses.setdefault(
            str(status),
            {
                "description": HTTPStatus(status).phrase,
                "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][CONTENT_TYPE]["examples"][kind.code] = {
            "summary": (kind.__doc__ or "").splitlines()[0].replace("``", "`"),
            "value": {
                "type": "about:blank",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": kind.detail,
                "code": kind.code,
                "request_id": "6f1c2f0e8a8b4c0f9a1d3e5b7c9d0e1f",
            },
        }
    return responses
