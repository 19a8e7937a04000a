"""What can go wrong, in the words of the domain; `views/problems.py` gives each its HTTP status.

    SessionServiceError
    ├── InvalidRequest             what the caller sent cannot be used
    │   ├── InvalidJson
    │   ├── ValidationFailed
    │   ├── BodyTooLarge
    │   └── UnsupportedMediaType
    ├── NotAuthenticated           who is calling is not established
    │   ├── TokenMissing
    │   ├── TokenInvalid
    │   ├── TokenExpired
    │   ├── SessionEnded
    │   ├── SessionUnknown
    │   ├── LimitRefusesAdoption
    │   ├── RateRefusesAdoption
    │   └── ServiceRequired
    ├── AdminRequired
    ├── NotFound                   the thing asked for does not exist, as far as this caller may know
    │   ├── RouteNotFound
    │   ├── SessionNotFound
    │   ├── UserNotFound
    │   └── NoCurrentSession
    ├── MethodNotAllowed
    ├── CurrentSessionUnknown
    ├── SessionLimitReached
    ├── SignInRateExceeded
    ├── Unavailable                something that this service needs does not answer
    │   ├── DatabaseUnavailable
    │   ├── AuthServerUnavailable
    │   └── NotReady
    └── InternalError

``detail`` is for people and may change; ``code`` is for programs and does not.
"""

from collections.abc import Mapping
from typing import ClassVar


class SessionServiceError(Exception):
    """The root: a ``code`` that never changes, and words for people."""

    code: ClassVar[str]
    detail: ClassVar[str]

    def __init__(self, detail: str | None = None, *, retry_after: int | None = None, **members: object) -> None:
        """Describe one occurrence.

        Args:
            detail: what to tell the caller, where the class's own words are too general.
            retry_after: whole seconds after which the same call may succeed.
            members: further members of the problem document (RFC 9457 section 3.2), JSON values.
        """
        super().__init__(detail or self.detail)
        self.retry_after = retry_after
        self.members: Mapping[str, object] = members


class InvalidRequest(SessionServiceError):
    """What the caller sent cannot be used."""


class InvalidJson(InvalidRequest):
    """The body is not JSON as RFC 8259 and I-JSON (RFC 7493) have it."""

    code = "invalid_json"
    detail = "The request body is not valid JSON."


class ValidationFailed(InvalidRequest):
    """The request was understood, but a field of it breaks a rule; ``errors`` says which."""

    code = "validation_failed"
    detail = "The request has fields that cannot be accepted."

    def __init__(self, detail: str | None = None, *, errors: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.members = {"errors": errors} if errors else {}


class BodyTooLarge(InvalidRequest):
    """The body is over the limit of 16 kB."""

    code = "body_too_large"
    detail = "The request body is larger than 16 kB."


class UnsupportedMediaType(InvalidRequest):
    """There is a body, and it is not announced as what the endpoint takes."""

    code = "unsupported_media_type"
    detail = "The request body has a media type that this endpoint does not take."


class NotAuthenticated(SessionServiceError):
    """Who is calling is not established."""


class TokenMissing(NotAuthenticated):
    """No access token came with the request."""

    code = "token_missing"
    detail = "Sign in first: this request carried no access token."


class TokenInvalid(NotAuthenticated):
    """A token came, and it proves nothing; it is not said which check it failed."""

    code = "token_invalid"
    detail = "The access token is not valid. Please sign in again."


class TokenExpired(NotAuthenticated):
    """The token was good until its ``exp``."""

    code = "token_expired"
    detail = "The access token has expired. Refresh it or sign in again."


class SessionEnded(NotAuthenticated):
    """The token is good, but the session that it stands for has ended."""

    code = "session_ended"
    detail = "This session has ended. Please sign in again."


class SessionUnknown(NotAuthenticated):
    """The token is good, but no session belongs to it, and `UNKNOWN_SESSION_POLICY` is `reject`."""

    code = "session_unknown"
    detail = "No session belongs to this sign-in. Please sign in again."


class ServiceRequired(NotAuthenticated):
    """The credentials of a service are needed, and these are none."""

    code = "service_required"
    detail = "The service credentials are missing or wrong."


class AdminRequired(SessionServiceError):
    """The caller is known, and is no admin."""

    code = "admin_required"
    detail = "Only admins can view other users' sessions"


class NotFound(SessionServiceError):
    """The thing asked for does not exist, as far as this caller may know."""


class RouteNotFound(NotFound):
    """No endpoint has this path."""

    code = "not_found"
    detail = "There is no such endpoint."


class SessionNotFound(NotFound):
    """No such session, or it belongs to somebody else: callers must not learn which."""

    code = "session_not_found"
    detail = "Session not found"


class UserNotFound(NotFound):
    """We hold no session of this user, and the user directory does not know them."""

    code = "user_not_found"
    detail = "User not found"


class NoCurrentSession(NotFound):
    """The token is good, but it cannot be told which session it belongs to."""

    code = "no_current_session"
    detail = "No session belongs to this sign-in."


class MethodNotAllowed(SessionServiceError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    detail = "This endpoint does not answer that method."


class CurrentSessionUnknown(SessionServiceError):
    """All sessions but the current one were to be ended, and the current one cannot be told."""

    code = "current_session_unknown"
    detail = "It cannot be told which session is the current one, so none was closed."


class SessionLimitReached(SessionServiceError):
    """The user is signed in on as many devices as are allowed, and none gives way."""

    code = "session_limit_reached"
    detail = "You are signed in on as many devices as are allowed. Sign out on one of them first."


class SignInRateExceeded(SessionServiceError):
    """The user signed in too often within the last minute."""

    code = "sign_in_rate_exceeded"
    detail = "Too many sign-ins within a minute. Please wait a moment."


class LimitRefusesAdoption(NotAuthenticated):
    """The token was about to get a session at its first sight, and all places are taken."""

    code = SessionLimitReached.code
    detail = SessionLimitReached.detail


class RateRefusesAdoption(NotAuthenticated):
    """The token was about to get a session at its first sight, and its user got too many within the last minute."""

    code = SignInRateExceeded.code
    detail = SignInRateExceeded.detail


class Unavailable(SessionServiceError):
    """Something that this service needs does not answer: neither a yes nor a no."""


class DatabaseUnavailable(Unavailable):
    """The database did not answer; a change that was under way may or may not have happened."""

    code = "database_unavailable"
    detail = "The service cannot reach its database. Please try again in a moment."


class AuthServerUnavailable(Unavailable):
    """The auth server was asked and did not give an answer that can be used."""

    code = "auth_server_unavailable"
    detail = "The auth server cannot be reached. Please try again in a moment."


class NotReady(Unavailable):
    """The service runs, but should not be sent requests yet; ``missing`` says why."""

    code = "not_ready"
    detail = "The service is not ready."


class InternalError(SessionServiceError):
    """A fault of this service's own; the log knows more, under the same ``request_id``."""

    code = "internal_error"
    detail = "Something went wrong on our side. Please try again."
