"""The guards of the blueprints: who is calling, and has their session ended?

A guard runs before the views of its blueprint and sets ``caller``.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar, cast
from weakref import WeakSet

import jwt
from flask import Flask, current_app, g, request
from werkzeug.local import LocalProxy

from session_service import errors
from session_service.clock import utcnow
from session_service.components import components
from session_service.errors import AdminRequired
from session_service.records import Client, Principal, StoredSession, Token
from session_service.rules.addresses import observed_address
from session_service.rules.user_agents import MAX_USER_AGENT_LENGTH
from session_service.services.current_session import current_session
from session_service.views.credentials import bearer_token, principal_of, scheme, verified_service, verify_token

View = TypeVar("View", bound=Callable[..., object])

GUARDED = (
    errors.TokenMissing,
    errors.TokenInvalid,
    errors.TokenExpired,
    errors.SessionEnded,
    errors.BodyTooLarge,
    errors.InternalError,
    errors.DatabaseUnavailable,
    errors.AuthServerUnavailable,
)
"""Errors of every endpoint behind a guard."""

ADOPTING = (errors.LimitRefusesAdoption, errors.RateRefusesAdoption)
"""Further errors of an endpoint that adopts a token without a session."""

_warned_of_untrusted_proxy: WeakSet[Flask] = WeakSet()
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """Who is calling, from what, and when: `now` is the one instant that decides everything in this request."""

    principal: Principal
    client: Client
    now: datetime

    @property
    def current_id(self) -> int | None:
        """The id of the session that this call belongs to; None for a service."""
        return None


@dataclass(frozen=True)
class UserCaller(Caller):
    """A user, with the token and the session that it belongs to, if it has one."""

    token: Token
    current: StoredSession | None

    @property
    def current_id(self) -> int | None:
        """The id of the session that this call belongs to, if there is one."""
        return self.current.id if self.current else None


caller = cast(Caller, LocalProxy(lambda: g.caller))
"""The caller of this request, behind any guard."""

user = cast(UserCaller, caller)
"""The same, behind `require_user`."""


def skips_current_session(view: View) -> View:
    """Declare that the guard does not look for the token's session: the use case decides by itself."""
    view.skips_current_session = True  # type: ignore[attr-defined]
    return view


def allows_ended_session(view: View) -> View:
    """Declare that a token whose session has ended may still call *view*; a token without one is not adopted there."""
    view.allows_ended_session = True  # type: ignore[attr-defined]
    return view


def require_user() -> None:
    """Admit users with a valid access token, unless the token's session has ended.

    With `UNKNOWN_SESSION_POLICY=adopt`, a token without a session gets one.

    Raises:
        TokenMissing, TokenInvalid, TokenExpired: by way of flask-jwt-extended's loaders.
        SessionEnded: the token's session has ended.
        LimitRefusesAdoption, RateRefusesAdoption: it has none, and must not have one now.
    """
    if request.method != "OPTIONS":
        g.caller = _user(adopts=components().settings.UNKNOWN_SESSION_POLICY == "adopt")


def require_service() -> None:
    """Admit services by HTTP Basic (RFC 7617).

    Raises:
        ServiceRequired: other credentials, or none.
    """
    if request.method != "OPTIONS":
        g.caller = _service()


def require_admin_or_service() -> None:
    """Admit admins by their token, and services by HTTP Basic (RFC 7617).

    Raises:
        AdminRequired: a user who is not an admin.
        AuthServerUnavailable: the auth server was asked who is an admin, and gave no usable answer.
        ServiceRequired: a service's credentials, and wrong.
    """
    if request.method == "OPTIONS":
        return
    if scheme() == "basic":
        g.caller = _service()
        return
    admin = _user()
    admin = replace(admin, principal=components().sessions.as_admin(admin.principal))
    if not admin.principal.is_admin:
        deed = "view" if request.method in {"GET", "HEAD"} else "end"
        raise AdminRequired(f"Only admins can {deed} other users' sessions")
    g.caller = admin


def find_token(encoded: str, now: datetime) -> Token | None:
    """Return what an access token says of its bearer; None if it is not valid."""
    try:
        return verify_token(encoded, now)
    except jwt.InvalidTokenError:
        return None


def _user(*, adopts: bool = False) -> UserCaller:
    encoded, now = bearer_token(), utcnow()
    token = verify_token(encoded, now)
    g.user_id = token.user_id
    principal, client = principal_of(token, encoded), _client()
    view = current_app.view_functions[request.endpoint or ""]
    if hasattr(view, "skips_current_session"):
        return UserCaller(principal, client, now, token, None)
    may_have_ended = hasattr(view, "allows_ended_session")
    settings = components().settings
    session = current_session(token, client, settings, now=now, may_have_ended=may_have_ended)
    if session is None and adopts and not may_have_ended:
        session = components().sign_in.adopt_session(by=principal, token=token, client=client, now=now)
    return UserCaller(principal, client, now, token, session)


def _service() -> Caller:
    return Caller(verified_service(), _client(), utcnow())


def observed_client(environ: Mapping[str, Any], hops: int) -> Client:
    """Return what a request shows of its client.

    Args:
        environ: PEP 3333. The server has decoded the headers as Latin-1, without line breaks.
        hops: how many proxies in front are trusted (`TRUSTED_PROXY_HOPS`).
    """
    # A database cannot store a NUL.
    user_agent = environ.get("HTTP_USER_AGENT", "").replace("\0", "")[:MAX_USER_AGENT_LENGTH]
    return Client(
        user_agent=user_agent or None,
        address=observed_address(environ.get("REMOTE_ADDR"), environ.get("HTTP_X_FORWARDED_FOR"), hops),
        platform_version=environ.get("HTTP_SEC_CH_UA_PLATFORM_VERSION"),
    )


def _client() -> Client:
    hops = components().settings.TRUSTED_PROXY_HOPS
    if hops == 0 and request.environ.get("HTTP_X_FORWARDED_FOR"):
        _warn_of_untrusted_proxy()
    return observed_client(request.environ, hops)


def _warn_of_untrusted_proxy() -> None:
    """Warn once per process that addresses are probably the gateway's; anybody can send this header."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if app not in _warned_of_untrusted_proxy:
        _warned_of_untrusted_proxy.add(app)
        _log.warning("X-Forwarded-For arrives, but TRUSTED_PROXY_HOPS is 0: sessions show the gateway's address")
