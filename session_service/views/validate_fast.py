"""The plain yes of `GET /sessions/validate`, in front of Flask: asked a thousand times for each other answer.

It answers only a token that was verified before, that has exactly one session, which is active, with nothing to write.
Any other request, and any doubt or error, goes on to Flask, which decides as if nothing had been tried. The answer, the
log line and the metrics are the same both ways (`tests/integration/test_validate_fast.py`). `app.create_app` puts it in
front; without it everything works, at a third of the speed.
"""

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from session_service import metrics
from session_service.clock import utcnow
from session_service.components import Components
from session_service.records import Token, UnendedSession
from session_service.services.current_session import PlainLookup
from session_service.views.credentials import split_credentials
from session_service.views.json_answers import to_json
from session_service.views.request_hooks import BEGAN_AT, HEADERS, begin, end, report
from session_service.views.validation import PATH, identity_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

NOT_PLAIN = ("HTTP_ORIGIN", "HTTP_TRANSFER_ENCODING")
"""A page of another origin, or a body: for Flask."""


class ValidateFast:
    """A WSGI application that answers the plain yes, and passes everything else on."""

    def __init__(self, otherwise: "WSGIApplication", built: Components, lookup: PlainLookup) -> None:
        self.otherwise = otherwise
        self._built, self._lookup = built, lookup

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "GET":
            return self.otherwise(environ, start_response)
        environ[BEGAN_AT] = began_at = monotonic()
        request_id = begin(environ.get("HTTP_X_REQUEST_ID"), began_at)
        try:
            found = self._find(environ)
        except Exception:  # whatever it was, Flask meets it again and says so
            found = None
        if found is None:
            return self.otherwise(environ, start_response)
        token, session = found
        body = to_json(self._built.sessions.validate(session, token=token))
        metrics.validations.labels("active").inc()
        report(PATH, "GET", 200, monotonic() - began_at, user_id=token.user_id, session_id=session.id)
        end()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **identity_headers(session.id, token.user_id),
            **HEADERS,
            "X-Request-ID": request_id,
        }
        start_response("200 OK", list(headers.items()))
        return [body]

    def _find(self, environ: dict[str, Any]) -> tuple[Token, UnendedSession] | None:
        has_body = environ.get("CONTENT_LENGTH", "") not in ("", "0")
        if has_body or any(name in environ for name in NOT_PLAIN):
            return None
        # Without trusted proxies, the first of these headers is warned of (`guards`).
        if self._built.settings.TRUSTED_PROXY_HOPS == 0 and "HTTP_X_FORWARDED_FOR" in environ:
            return None
        scheme, encoded = split_credentials(environ.get("HTTP_AUTHORIZATION", ""))
        now = utcnow()
        token = self._built.tokens.remembered(encoded, now) if scheme == "bearer" else None
        session = token and self._lookup(token, now)
        return (token, session) if token and session else None
