"""All errors that callers see. `views/problems.py` maps each class to its HTTP status.

SessionServiceError
├── InvalidRequest             the request is malformed or breaks a rule
│   ├── InvalidJson
│   ├── ValidationFailed
│   ├── BodyTooLarge
│   └── UnsupportedMediaType
├── NotAuthenticated           the caller's identity is not proven, or their session does not allow the call
│   ├── TokenMissing
│   ├── TokenInvalid
│   ├── TokenExpired
│   ├── SessionEnded
│   ├── SessionUnknown
│   ├── LimitRefusesAdoption
│   ├── RateRefusesAdoption
│   └── ServiceRequired
├── AdminRequired
├── NotFound                   the resource does not exist, or the caller may not learn that it does
│   ├── RouteNotFound
│   ├── SessionNotFound
│   ├── UserNotFound
│   └── NoCurrentSession
├── MethodNotAllowed
├── CurrentSessionUnknown
├── CountChanged
├── SessionLimitReached
├── FeedPositionGone
├── SignInRateExceeded
├── Unavailable                a dependency of this service does not answer
│   ├── DatabaseUnavailable
│   ├── AuthServerUnavailable
│   └── NotReady
└── InternalError
"""

from collections.abc import Mapping
from typing import ClassVar


class SessionServiceError(Exception):
    """The base class: a `code` for programs, which never changes, and a `detail` for people, which may."""

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, detail: str | None = None, *, retry_after: int | None = None, **members: object) -> None:
        """Create it: *detail* replaces the class's, *members* are JSON (RFC 9457 3.2), *retry_after* is in seconds."""
        super().__init__(detail or self.detail)
        self.retry_after = retry_after
        self.members: Mapping[str, object] = members


class InvalidRequest(SessionServiceError):
    """The request is malformed or breaks a rule."""


class InvalidJson(InvalidRequest):
    """The body is not JSON as RFC 8259 and I-JSON (RFC 7493) define it."""

    code = "invalid_json"
    detail = "The request body is not valid JSON."


class ValidationFailed(InvalidRequest):
    """The request can be parsed, but at least one field is invalid; `errors` names each."""

    code = "validation_failed"
    detail = "The request has fields that cannot be accepted."

    def __init__(self, detail: str | None = None, *, errors: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.members = {"errors": errors} if errors else {}


class BodyTooLarge(InvalidRequest):
    """The body is larger than 16 kB."""

    code = "body_too_large"
    detail = "The request body is larger than 16 kB."


class UnsupportedMediaType(InvalidRequest):
    """The request has a body, and its media type is not the one that the endpoint accepts."""

    code = "unsupported_media_type"
    detail = "The request body has a media type that this endpoint does not take."


class NotAuthenticated(SessionServiceError):
    """The caller's identity is not proven, or their session does not allow the call."""


class TokenMissing(NotAuthenticated):
    """The request contains no access token."""

    code = "token_missing"
    detail = "Sign in first: this request carried no access token."


class TokenInvalid(NotAuthenticated):
    """The request's token is not valid. The answer does not say which check failed."""

    code = "token_invalid"
    detail = "The access token is not valid. Please sign in again."


class TokenExpired(NotAuthenticated):
    """The token was valid until its `exp`."""

    code = "token_expired"
    detail = "The access token has expired. Refresh it or sign in again."


class SessionEnded(NotAuthenticated):
    """The token is valid, but its session has ended."""

    code = "session_ended"
    detail = "This session has ended. Please sign in again."


class SessionUnknown(NotAuthenticated):
    """The token is valid, but no session belongs to it, and `UNKNOWN_SESSION_POLICY` is `reject`."""

    code = "session_unknown"
    detail = "No session belongs to this sign-in. Please sign in again."


class ServiceRequired(NotAuthenticated):
    """The endpoint requires the credentials of a service, and the request contains none that are valid."""

    code = "service_required"
    detail = "The service credentials are missing or wrong."


class AdminRequired(SessionServiceError):
    """The caller is authenticated, but is not an admin."""

    code = "admin_required"
    detail = "Only admins can view other users' sessions"


class NotFound(SessionServiceError):
    """The resource does not exist, or the caller may not learn that it does."""


class RouteNotFound(NotFound):
    """No endpoint has this path."""

    code = "not_found"
    detail = "There is no such endpoint."


class SessionNotFound(NotFound):
    """The session does not exist, or it belongs to another user: callers must not learn which."""

    code = "session_not_found"
    detail = "Session not found"


class UserNotFound(NotFound):
    """No session of this user is stored, and the user directory has no such user."""

    code = "user_not_found"
    detail = "User not found"


class NoCurrentSession(NotFound):
    """The token is valid, but the service cannot determine which session it belongs to."""

    code = "no_current_session"
    detail = "No session belongs to this sign-in."


class MethodNotAllowed(SessionServiceError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    detail = "This endpoint does not answer that method."


class CurrentSessionUnknown(SessionServiceError):
    """The caller asked to end all sessions but the current one, and the service cannot determine the current one."""

    code = "current_session_unknown"
    detail = "The service cannot determine which session is the current one, so none was closed."


class CountChanged(SessionServiceError):
    """More sessions match than the caller expected; none was ended. `count` says how many."""

    code = "count_changed"
    detail = "More sessions would end than were expected, so none was ended."


class SessionLimitReached(SessionServiceError):
    """The user has as many active sessions as are allowed, and the policy `reject` ends none of them."""

    code = "session_limit_reached"
    detail = "You are signed in on as many devices as are allowed. Sign out on one of them first."


class FeedPositionGone(SessionServiceError):
    """Events after this position of the feed have been purged, or the position is of another database."""

    code = "feed_position_gone"
    detail = "The feed does not go back that far. Forget what you remember, and begin without a position."


class SignInRateExceeded(SessionServiceError):
    """The user signed in too often within the last 60 seconds."""

    code = "sign_in_rate_exceeded"
    detail = "Too many sign-ins within a minute. Please wait a moment."


class LimitRefusesAdoption(NotAuthenticated):
    """A token without a session cannot be adopted: its user has as many active sessions as are allowed."""

    code = SessionLimitReached.code
    detail = SessionLimitReached.detail


class RateRefusesAdoption(NotAuthenticated):
    """A token without a session cannot be adopted: its user created too many within the last 60 seconds."""

    code = SignInRateExceeded.code
    detail = SignInRateExceeded.detail


class Unavailable(SessionServiceError):
    """A dependency of this service does not answer, so the request is neither granted nor refused."""


class DatabaseUnavailable(Unavailable):
    """The database did not answer. A change that was in progress may or may not have been committed."""

    code = "database_unavailable"
    detail = "The service cannot reach its database. Please try again in a moment."


class AuthServerUnavailable(Unavailable):
    """The auth server did not answer, or its answer is not usable."""

    code = "auth_server_unavailable"
    detail = "The auth server cannot be reached. Please try again in a moment."


class NotReady(Unavailable):
    """The service runs but cannot serve requests at the moment; `missing` lists the reasons."""

    code = "not_ready"
    detail = "The service is not ready."


class InternalError(SessionServiceError):
    """A fault in this service. The log has the details, under the same `request_id`."""

    code = "internal_error"
    detail = "Something went wrong on our side. Please try again."
