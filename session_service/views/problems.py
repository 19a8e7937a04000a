"""Answers all errors in one format, `application/problem+json` (RFC 9457). `STATUS` maps each class to its status."""

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
from session_service.views.fields import COMPONENT, Vocabulary
from session_service.views.schemas import SessionResponse

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
    errors.FeedPositionGone: 410,
    errors.SignInRateExceeded: 429,
    errors.InternalError: 500,
    errors.DatabaseUnavailable: 503,
    errors.AuthServerUnavailable: 503,
    errors.NotReady: 503,
}

_FRAMEWORK_ERRORS: dict[int | None, type[SessionServiceError]] = {
    400: errors.InvalidJson,
    404: errors.RouteNotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
}
"""By status: the class for an error that the router or the framework raises. Any other 4xx is `ValidationFailed`."""

UNREADABLE_CODES = ("bad_request", "uri_too_long", "expectation_failed", "headers_too_large")
"""Codes of requests that are not readable HTTP. `server.gunicorn_worker` answers them."""

ERROR_CODES = sorted({*(kind.code for kind in STATUS), *UNREADABLE_CODES})

_CHALLENGES: dict[type[SessionServiceError], str] = {
    # RFC 6750 section 3.1: no error code if the request contains no credentials.
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
    """An error (RFC 9457). Programs should use `code` and ignore unknown members."""

    class Meta:
        """Errors may have further members (RFC 9457 section 3.2)."""

        unknown = INCLUDE

    type = fields.String(required=True, metadata={"example": "about:blank"})
    title = fields.String(required=True, metadata={"description": "The status in words.", "example": "Not Found"})
    status = fields.Integer(required=True, metadata={"example": 404})
    detail = fields.String(required=True, metadata={"description": "For people.", "example": "Session not found"})
    code = fields.String(required=True, metadata={COMPONENT: "ErrorCode"})
    request_id = fields.String(required=True, metadata={"description": "Also in the log."})
    errors = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": "With `validation_failed`: the messages, by field.",
            "example": {"browser": ["Not a valid string."]},
        },
    )
    end_reason = Vocabulary("EndReason", "With `session_ended`.")
    ended_at = fields.DateTime(
        metadata={"description": "With `session_ended`: when the session ended.", "example": "2025-02-08T16:00:00Z"}
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
    because = Vocabulary("EndCause", "With `session_ended` for `admin`, if a cause was given.")
    sessions = fields.List(
        fields.Nested(SessionResponse),
        metadata={"description": "With `session_limit_reached`: the user's active sessions, the last active first."},
    )
    missing = fields.List(
        fields.String(),
        metadata={
            "description": "With `not_ready`: why requests cannot be served.",
            "example": ["the database does not answer"],
        },
    )


class ProblemApi(Api):
    """flask-smorest's API, except that all errors are answered as problem documents."""

    DEFAULT_ERROR_RESPONSE_NAME = None  # each operation describes its own errors with `documented`

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer an error of the router or the framework."""
        return http_problem(error)

    def _register_responses(self) -> None:
        self.spec.components.schema("Problem", schema=Problem)

    def _register_pagination_header(self) -> None:
        """Describe no pagination header: lists are capped, not paginated."""


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
    """Return the answer for *error*: problem document, status and headers."""
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
        # A gateway that validates a token before it forwards a request passes on headers, but no body.
        response.headers[CODE_HEADER] = error.code
    return response


def http_problem(error: HTTPException) -> Response:
    """Return the answer for an error of the router or the framework; only its header `Allow` is kept, not its text."""
    if error.code is not None and error.code >= 500:
        return _unexpected(error)
    error_class = _FRAMEWORK_ERRORS.get(error.code, errors.ValidationFailed)
    response = problem(error_class())
    response.headers.extend((name, value) for name, value in error.get_headers() if name.lower() == "allow")
    return response


def _unexpected(error: Exception) -> Response:
    """Answer an unexpected exception: the log gets all details, the caller only the request's id."""
    _log.error("unexpected error in request %s", g.request_id, exc_info=error)
    return problem(errors.InternalError())


def documented(*classes: type[SessionServiceError]) -> dict[str, Any]:
    """Return the OpenAPI responses of an operation that answers these errors, with an example of each code."""
    responses: dict[str, Any] = {}
    for one in sorted(classes, key=lambda one: STATUS[one]):
        status = STATUS[one]
        response = responses.setdefault(
            str(status),
            {
                "description": HTTPStatus(status).phrase,
                "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][CONTENT_TYPE]["examples"][one.code] = {
            "summary": (one.__doc__ or "").splitlines()[0].replace("``", "`"),
            "value": {
                "type": "about:blank",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": one.detail,
                "code": one.code,
                "request_id": "6f1c2f0e8a8b4c0f9a1d3e5b7c9d0e1f",
            },
        }
    return responses
