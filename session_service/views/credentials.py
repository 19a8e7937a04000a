"""What the `Authorization` header proves: a user's token, or a service's name and secret."""

import hashlib
import hmac
from base64 import b64decode
from datetime import datetime

import jwt
from flask import g, request
from flask_jwt_extended.exceptions import InvalidHeaderError, NoAuthorizationError

from session_service import metrics
from session_service.auth_server.tokens import refusal_of
from session_service.components import components
from session_service.errors import ServiceRequired
from session_service.records import Principal, Token


def scheme() -> str:
    """Return the scheme of the `Authorization` header, in lower case."""
    return _scheme_and_credentials()[0]


def split_credentials(header: str) -> tuple[str, str]:
    """Return the scheme of an `Authorization` header, in lower case, and what follows it."""
    # The scheme is case-insensitive (RFC 9110 section 11.1).
    scheme, _, credentials = header.strip().partition(" ")
    return scheme.lower(), credentials.strip()


def bearer_token() -> str:
    """Return the text of the token (RFC 6750 section 2.1). Tokens in a query or a body are not accepted.

    Raises:
        NoAuthorizationError, InvalidHeaderError: flask-jwt-extended's, answered by its loaders.
    """
    scheme, credentials = _scheme_and_credentials()
    if scheme != "bearer" or not credentials:
        _refuse("missing")
        raise NoAuthorizationError("no bearer token")
    if len(credentials.split()) != 1:
        _refuse("malformed", "not one token")
        raise InvalidHeaderError("not one token")
    return credentials


def verify_token(encoded: str, now: datetime) -> Token:
    """Return what a valid token says.

    Raises:
        jwt.InvalidTokenError, AuthServerUnavailable: see `TokenVerifier.verify`.
    """
    try:
        return components().tokens.verify(encoded, now)
    except jwt.InvalidTokenError as error:
        kind, details = refusal_of(error)
        _refuse(kind, details)
        raise


def principal_of(token: Token, encoded: str) -> Principal:
    """Return the user who presents *token*, whose text is *encoded*."""
    return Principal(user_id=token.user_id, is_admin=token.is_admin, bearer=encoded)


def verified_service() -> Principal:
    """Return the service that calls by HTTP Basic (RFC 7617).

    Raises:
        ServiceRequired: other credentials, or none.
    """
    given = _digest(*_name_and_secret())
    # All are compared, as digests of one length: the time that this takes tells neither a name nor a secret.
    known = [
        name
        for name, secret in components().settings.SERVICE_CREDENTIALS.items()
        if hmac.compare_digest(_digest(name, secret), given)
    ]
    if not known:
        raise ServiceRequired
    return Principal(service=known[0])


def _name_and_secret() -> tuple[str, str]:
    """Return the user and password of HTTP Basic (RFC 7617 section 2, in UTF-8).

    Raises:
        ServiceRequired: another scheme, or a text that cannot be decoded.
    """
    scheme, credentials = _scheme_and_credentials()
    try:
        text = b64decode(credentials.encode("latin-1"), validate=True).decode() if scheme == "basic" else ""
    except ValueError as error:
        raise ServiceRequired from error
    name, _, secret = text.partition(":")
    return name, secret


def _scheme_and_credentials() -> tuple[str, str]:
    return split_credentials(request.headers.get("Authorization", ""))


def _refuse(kind: str, details: str = "") -> None:
    """Count a refused token, and let the request's log line say why; the caller is not told."""
    metrics.tokens_refused.labels(kind).inc()
    g.token_refused = f"{kind}: {details}" if details else kind


def _digest(name: str, secret: str) -> bytes:
    return hashlib.sha256(f"{name}\0{secret}".encode()).digest()
