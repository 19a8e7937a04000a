"""The guards: who is calling, and is their session still alive? They stand before the views, under each blueprint.

After a guard, ``caller`` tells the views whom they serve.
"""

import hashlib
import hmac
import logging
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import cast

import jwt
from flask import current_app, g, request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import InvalidHeaderError, NoAuthorizationError
from werkzeug.local import LocalProxy

from session_service import metrics
from session_service.addresses import observed_address
from session_service.clock import utcnow
from session_service.config import Settings
from session_service.current import current_session
from session_service.errors import AdminRequired, ServiceRequired
from session_service.records import Client, Principal, StoredSession, Token
from session_service.service import SessionService
from session_service.tokens import TokenVerifier
from session_service.user_agents import MAX_USER_AGENT_LENGTH

DECIDES_ITSELF = frozenset({"sessions.create_session"})
"""Endpoints whose use case decides what a token whose session has ended may still do."""

ENDED_IS_FINE = frozenset({"sessions.logout"})
"""Endpoints that a token whose session has ended may still call; a token without any gets none there either."""

_REASONS: dict[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "not_yet_valid",
    jwt.InvalidSignatureError: "signature",
    jwt.DecodeError: "malformed",
}
"""What of a token was wrong, as it is counted; the first that fits, and `claims` where none does."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who is calling, from what."""

    principal: Principal
    client: Client

    @property
    def current_id(self) -> int | None:
        """The id of the session that this call belongs to; a service has none."""
        return None


@dataclass(frozen=True)
class UserCaller(Caller):
    """A user, with the token that says so and the session that it belongs to, where that is told."""

    token: Token
    current: StoredSession | None

    @property
    def current_id(self) -> int | None:
        """The id of the session that this call belongs to, where that is told."""
        return self.current.id if self.current else None


caller = cast(Caller, LocalProxy(lambda: g.caller))
"""Whoever passed the guard."""

user = cast(UserCaller, caller)
"""The same, behind `require_user`."""


def require_user() -> None:
    """Admit users with a valid access token, unless the session that it stands for has ended.

    With `UNKNOWN_SESSION_POLICY=adopt`, one that has no session gets one.

    Raises:
        TokenMissing, TokenInvalid, TokenExpired: by way of flask-jwt-extended and its loaders.
        SessionEnded: the session that the token stands for is no more.
        LimitRefusesAdoption, RateRefusesAdoption: it has none, and cannot have one now.
    """
    if request.method != "OPTIONS":
        g.caller = _user(adopts=_settings().UNKNOWN_SESSION_POLICY == "adopt")


def require_service() -> None:
    """Admit services by HTTP Basic (RFC 7617).

    Raises:
        ServiceRequired: other credentials came, or none.
    """
    if request.method != "OPTIONS":
        g.caller = Caller(principal=_service(), client=_client())


def require_admin_or_service() -> None:
    """Admit admins by their token, and services by HTTP Basic (RFC 7617).

    Raises:
        AdminRequired: a user, and no admin.
        AuthServerUnavailable: the auth server had to be asked who is an admin, and gave no usable answer.
        ServiceRequired: credentials of a service came, and are wrong.
    """
    if request.method == "OPTIONS":
        return
    if _scheme_and_credentials()[0] == "basic":
        g.caller = Caller(principal=_service(), client=_client())
        return
    admin = _user()
    admin = replace(admin, principal=_service_of_app().as_admin(admin.principal))
    if not admin.principal.is_admin:
        deed = "view" if request.method in {"GET", "HEAD"} else "end"
        raise AdminRequired(f"Only admins can {deed} other users' sessions")
    g.caller = admin


def _user(*, adopts: bool = False) -> UserCaller:
    encoded = _bearer_token()
    token = _read_token(encoded)
    g.user_id = token.user_id
    principal = Principal(user_id=token.user_id, is_admin=token.is_admin, bearer=encoded)
    client, now = _client(), utcnow()
    if request.endpoint in DECIDES_ITSELF:
        return UserCaller(principal, client, token, None)
    may_have_ended = request.endpoint in ENDED_IS_FINE
    session = current_session(token, client, _settings(), now=now, may_have_ended=may_have_ended)
    if session is None and adopts and not may_have_ended:
        session = _service_of_app().adopt_session(by=principal, token=token, client=client, now=now)
    return UserCaller(principal, client, token, session)


def find_token(encoded: str) -> Token | None:
    """Return what an access token says of its bearer; None where it proves nothing, or no longer."""
    try:
        return _read_token(encoded)
    except jwt.InvalidTokenError:
        return None


def _read_token(encoded: str) -> Token:
    try:
        return _verifier().token_of(encoded, utcnow(), decode_token)
    except jwt.InvalidTokenError as error:
        metrics.tokens_refused.labels(_reason_of(error)).inc()
        raise


def _reason_of(error: jwt.InvalidTokenError) -> str:
    return next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), "claims")


def _bearer_token() -> str:
    """Return the token of the Authorization header (RFC 6750 section 2.1); never one from the query or a body."""
    scheme, credentials = _scheme_and_credentials()
    if scheme != "bearer" or not credentials:
        metrics.tokens_refused.labels("missing").inc()
        raise NoAuthorizationError("no bearer token")
    if len(credentials.split()) != 1:
        metrics.tokens_refused.labels("malformed").inc()
        raise InvalidHeaderError("not one token")
    return credentials


def _scheme_and_credentials() -> tuple[str, str]:
    # The scheme is case-insensitive (RFC 9110 section 11.1).
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _service() -> Principal:
    given = _digest(*_name_and_secret())
    # Compared with all of them, as digests of one length: how long it takes tells neither a name nor a secret.
    fits = [
        known
        for known, expected in _settings().SERVICE_CREDENTIALS.items()
        if hmac.compare_digest(_digest(known, expected), given)
    ]
    if not fits:
        raise ServiceRequired
    return Principal(service=fits[0])


def _name_and_secret() -> tuple[str, str]:
    """Return what the Authorization header holds (RFC 7617 section 2, in UTF-8).

    Raises:
        ServiceRequired: another scheme, or nothing that it could be.
    """
    scheme, credentials = _scheme_and_credentials()
    try:
        text = b64decode(credentials.encode("latin-1"), validate=True).decode() if scheme == "basic" else ""
    except ValueError as error:
        raise ServiceRequired from error
    name, _, secret = text.partition(":")
    return name, secret


def _digest(name: str, secret: str) -> bytes:
    return hashlib.sha256(f"{name}\0{secret}".encode()).digest()


def _client() -> Client:
    forwarded, hops = request.headers.get("X-Forwarded-For"), _settings().TRUSTED_PROXY_HOPS
    if forwarded and hops == 0:
        _warn_of_untrusted_proxy()
    # The header is Latin-1 text without line breaks by now, but a database cannot hold a NUL.
    user_agent = request.headers.get("User-Agent", "").replace("\0", "")[:MAX_USER_AGENT_LENGTH]
    return Client(user_agent=user_agent or None, address=observed_address(request.remote_addr, forwarded, hops))


def _warn_of_untrusted_proxy() -> None:
    """Say once in a process that addresses are probably the gateway's: a header that anybody can send is no news."""
    if not current_app.extensions.setdefault("warned_of_untrusted_proxy", False):
        current_app.extensions["warned_of_untrusted_proxy"] = True
        _log.warning("X-Forwarded-For arrives, but TRUSTED_PROXY_HOPS is 0: sessions show the gateway's address")


def _settings() -> Settings:
    return cast(Settings, current_app.extensions["settings"])


def _service_of_app() -> SessionService:
    return cast(SessionService, current_app.extensions["session_service"])


def _verifier() -> TokenVerifier:
    return cast(TokenVerifier, current_app.extensions["token_verifier"])
