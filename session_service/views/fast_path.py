"""The plain cases of the three most frequent requests, in front of Flask.

- `GET /sessions/validate`: the yes.
- `GET /sessions/my-sessions` without a query: the list.
- `POST /sessions/create`: the sign-in.

The first two are answered for a token that was verified before and has exactly one session, which is active, with
nothing to write. A sign-in is answered if it succeeds. Any other request, and any doubt or error, goes on to Flask,
which decides as if nothing had been tried; only a sign-in is not tried twice: Flask answers the error that it ended
with. Answers, log lines and metrics are the same both ways (`tests/integration/test_fast_path.py`). `app.create_app`
puts this in front; without it everything works, but these requests cost two to five times as much.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from session_service import metrics
from session_service.clock import utcnow
from session_service.components import Components
from session_service.errors import AuthServerUnavailable
from session_service.records import Token
from session_service.services.answers import CreatedSession
from session_service.services.current_session import PlainLookup
from session_service.views import sessions, validation
from session_service.views.credentials import principal_of, split_credentials
from session_service.views.guards import observed_client
from session_service.views.json_answers import to_json
from session_service.views.parsing import MAX_BODY_BYTES, parse_json
from session_service.views.request_hooks import BEGAN_AT, FAILED, HEADERS, Failure, begin, end, report
from session_service.views.schemas import load_sign_in

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Environ = dict[str, Any]

_STATUS_LINES = {200: "200 OK", 201: "201 CREATED"}


class _Answer(NamedTuple):
    status: int
    body: object
    user_id: str
    session_id: int | None
    """The caller's own session, for the log."""
    headers: dict[str, str]


class FastPath:
    """A WSGI application that answers the plain cases, and passes everything else on."""

    def __init__(
        self,
        otherwise: "WSGIApplication",
        built: Components,
        lookup: PlainLookup,
        connected: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Go in front of an application.

        Args:
            otherwise: Flask.
            built: the use cases.
            lookup: finds the sessions of tokens.
            connected: lets the use cases of a block use the database without an application context.
        """
        self.otherwise = otherwise
        self._built, self._lookup, self._connected = built, lookup, connected
        # A body of unknown length; a page that may be of another origin; without trusted proxies, a header that
        # `guards` warns of.
        self._not_plain = ["HTTP_TRANSFER_ENCODING"]
        self._not_plain += ["HTTP_ORIGIN"] if built.settings.CORS_ALLOWED_ORIGINS else []
        self._not_plain += ["HTTP_X_FORWARDED_FOR"] if built.settings.TRUSTED_PROXY_HOPS == 0 else []
        self._answers: dict[tuple[str, str], Callable[[Environ], _Answer | None]] = {
            ("GET", validation.PATH): self._validate,
            ("GET", sessions.LIST_PATH): self._my_sessions,
            ("POST", sessions.CREATE_PATH): self._create,
        }

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        find_answer = self._answers.get((method, path))
        if find_answer is None:
            return self.otherwise(environ, start_response)
        environ[BEGAN_AT] = began_at = monotonic()
        # Flask uses the same id, if the request goes on.
        environ["HTTP_X_REQUEST_ID"] = request_id = begin(environ.get("HTTP_X_REQUEST_ID"), began_at)
        try:
            answer = find_answer(environ)
        except Exception:  # whatever it was, Flask meets it again and says so
            answer = None
        if answer is None:
            return self.otherwise(environ, start_response)
        body, seconds = to_json(answer.body), monotonic() - began_at
        report(path, method, answer.status, seconds, user_id=answer.user_id, session_id=answer.session_id)
        end()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **answer.headers,
            **HEADERS,
            "X-Request-ID": request_id,
        }
        start_response(_STATUS_LINES[answer.status], list(headers.items()))
        return [body]

    def _validate(self, environ: Environ) -> _Answer | None:
        now = utcnow()
        if not (known := self._known(environ, now)):
            return None
        _, token = known
        session = self._lookup(token, now)
        if session is None:
            return None
        body = self._built.sessions.validate(session, token=token)
        metrics.of(metrics.validations, "active").inc()
        headers = validation.identity_headers(session.id, token.user_id)
        return _Answer(200, body, token.user_id, session.id, headers)

    def _my_sessions(self, environ: Environ) -> _Answer | None:
        now = utcnow()
        if environ.get("QUERY_STRING") or not (known := self._known(environ, now)):
            return None
        encoded, token = known
        found = self._lookup.with_list(token, now)
        if found is None:
            return None
        session, active = found
        body = self._built.sessions.present_list(
            active, by=principal_of(token, encoded), now=now, current_id=session.id
        )
        return _Answer(200, body, token.user_id, session.id, {})

    def _create(self, environ: Environ) -> _Answer | None:
        if environ.get("SCRIPT_NAME") or not (encoded := self._bearer(environ)):
            return None
        now = utcnow()
        try:
            token = self._built.tokens.verify(encoded, now)
        except AuthServerUnavailable as error:  # which may have been waited for
            environ[FAILED] = Failure(error, None)
            return None
        claimed = _read_claimed(environ)
        if claimed is None:
            return None
        try:
            created = self._sign_in(claimed, token, encoded, environ, now)
        except Exception as error:
            # It may have ended sessions, if the answer to the commit was lost, or have been counted as refused.
            environ[FAILED] = Failure(error, token.user_id)
            return None
        headers = {"Location": f"{sessions.SESSION_PATH}/{created['id']}"}
        return _Answer(201, created, token.user_id, None, headers)

    def _sign_in(
        self, claimed: dict[str, Any], token: Token, encoded: str, environ: Environ, now: datetime
    ) -> CreatedSession:
        client = observed_client(environ, self._built.settings.TRUSTED_PROXY_HOPS)
        with self._connected():
            return self._built.sign_in.create_session(
                claimed, by=principal_of(token, encoded), token=token, client=client, now=now
            )

    def _known(self, environ: Environ, now: datetime) -> tuple[str, Token] | None:
        """Return the text of the token of a plain request without a body, and what it says; None if it is new."""
        encoded = None if _has_body(environ) else self._bearer(environ)
        token = self._built.tokens.remembered(encoded, now) if encoded else None
        return (encoded, token) if encoded and token else None

    def _bearer(self, environ: Environ) -> str | None:
        """Return the text of the token of a plain request; None if there is none, or something is special."""
        if any(name in environ for name in self._not_plain):
            return None
        scheme, credentials = split_credentials(environ.get("HTTP_AUTHORIZATION", ""))
        return credentials if scheme == "bearer" else None


def _has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "") not in ("", "0")


def _read_claimed(environ: Environ) -> dict[str, Any] | None:
    """Return the fields of a sign-in; None if the body is large, cut off, or declared as something else than JSON.

    Flask can read the body again.

    Raises:
        InvalidJson, marshmallow.ValidationError: Flask finds the same.
    """
    if not _has_body(environ):
        return load_sign_in({})
    length = int(environ["CONTENT_LENGTH"])
    if length > MAX_BODY_BYTES or environ.get("CONTENT_TYPE") != "application/json":
        return None
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = BytesIO(body)
    return load_sign_in(parse_json(body)) if len(body) == length else None
