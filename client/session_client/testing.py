"""A service in memory, for tests of a backend: no network, no database, no waiting.

    service = FakeService()
    sessions = Sessions(service.client())       # of session_client.flask; async_client() for FastAPI
    token = service.sign_in(user_id=74)
    service.end_user(74)                         # from now on the token is refused
    service.is_down = True                       # from now on nothing is answered

Only the network is replaced: client, rules and adapters are the real ones. The service in memory knows sessions by the
tokens' `sid`, else by the token itself; it verifies no signature, and it recognises no devices. Where it answers, it
answers as the real one does.
"""

import base64
import json
from datetime import datetime, timezone
from email.utils import format_datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

from session_client.caller import bearer_of
from session_client.fake_sessions import FakeProblem, FakeSession, claims_of, refused
from session_client.options import Options
from session_client.tasks import AsyncSessionClient
from session_client.threads import SessionClient

CREDENTIALS = "fake:" + "service"
FAR_AWAY = 4_102_444_800
"""An `exp` in the year 2100."""


class FakeService:
    """The service in memory. One is for one test; its clients may be several."""

    def __init__(self, *, max_sessions: int = 3, lease_seconds: float = 1.0) -> None:
        """Allow so many active sessions of a user; the oldest give way."""
        self.max_sessions, self.lease_seconds = max_sessions, lease_seconds
        self.sessions: list[FakeSession] = []
        self.ends: list[int] = []
        """The sessions that have ended, in that order: the events of the feed."""
        self.is_down = False
        self._tokens = count(1)

    def client(self, *, remember: bool = False, **options: Any) -> SessionClient:
        """Return a client of this service. With *remember* it has a thread that follows the feed: `close` it."""
        given = Options(url="http://service.test", credentials=CREDENTIALS, remember=remember, **options)
        return SessionClient(given, lambda: _Transport(self))

    def async_client(self, *, remember: bool = False, **options: Any) -> AsyncSessionClient:
        """Return a client of this service for asyncio. With *remember* it has a task that follows the feed."""
        given = Options(url="http://service.test", credentials=CREDENTIALS, remember=remember, **options)
        return AsyncSessionClient(given, lambda: _AsyncTransport(self))

    def token(self, user_id: int | str, **claims: Any) -> str:
        """Return a token of its own for a user, as an auth server issues it, but for the signature."""
        number = next(self._tokens)
        payload = {"id": user_id, "exp": FAR_AWAY, "sid": f"sign-in-{number}", **claims}
        parts = ({"alg": "HS256", "typ": "JWT"}, payload)
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        return ".".join([*encoded, "none"])

    def sign_in(self, user_id: int | str, **claims: Any) -> str:
        """Return the token of a user who has just signed in: it has a session."""
        token = self.token(user_id, **claims)
        self._create(token)
        return token

    def session_of(self, token: str) -> FakeSession:
        """Return the newest session of a token.

        Raises:
            LookupError: it has none.
        """
        found = [one for one in self.sessions if one.key == claims_of(token).key]
        if not found:
            raise LookupError("the token has no session")
        return found[-1]

    def end(self, session: FakeSession, reason: str = "revoked") -> None:
        """End a session, for one of the service's reasons; repeating it changes nothing."""
        if session.end_reason is None:
            session.end_reason, session.ended_at = reason, datetime.now(timezone.utc)
            self.ends.append(session.id)

    def end_user(self, user_id: int | str, reason: str = "admin") -> int:
        """End all sessions of a user; return how many."""
        active = self._active(user_id)
        for one in active:
            self.end(one, reason)
        return len(active)

    def _active(self, user_id: int | str) -> list[FakeSession]:
        return [one for one in self.sessions if one.user_id == user_id and one.end_reason is None]

    def _create(self, token: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        claims = claims_of(token)
        earlier = [one for one in self.sessions if one.key == claims.key]
        if earlier and all(one.end_reason for one in earlier):
            raise refused(earlier[-1])
        name = str((body or {}).get("device_name") or "Unknown device")
        active = self._active(claims.user_id)
        evicted = active[: max(len(active) + 1 - self.max_sessions, 0)]
        for one in evicted:
            self.end(one, "limit")
        created = FakeSession(len(self.sessions) + 1, claims.user_id, claims.key, name)
        self.sessions.append(created)
        return {**created.shown(created.id), "evicted": [one.shown(created.id) for one in evicted]}

    # HTTP

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, as the service would."""
        if self.is_down:
            raise httpx.ConnectError("the fake service is down")
        path = unquote(request.url.path)
        query = dict(parse_qsl(request.url.query.decode()))
        token = bearer_of(request.headers.get("Authorization"))
        try:
            status, said, headers = self._route(request, path, query, token)
        except FakeProblem as problem:
            status, said, headers = problem.status, problem.document, problem.headers
        fixed = {"Date": format_datetime(datetime.now(timezone.utc), usegmt=True), "Cache-Control": "no-store"}
        kind = "application/problem+json" if status >= 400 else "application/json"
        sent = {**fixed, "Content-Type": kind, "X-Request-ID": "0" * 32, **headers}
        return httpx.Response(status, headers=sent, stream=httpx.ByteStream(json.dumps(said).encode() + b"\n"))

    def _route(
        self, request: httpx.Request, path: str, query: dict[str, str], token: str
    ) -> tuple[int, Any, dict[str, str]]:
        method = request.method
        if path == "/sessions/feed" or path.startswith("/sessions/user/"):
            if request.headers.get("Authorization") != "Basic " + base64.b64encode(CREDENTIALS.encode()).decode():
                raise FakeProblem(401, "service_required", "This needs a service's credentials.")
            return 200, self._for_services(method, path, query), {}
        if method == "POST" and path == "/sessions/create":
            created = self._create(token, json.loads(request.content or b"{}"))
            return 201, created, {"Location": f"/sessions/session/{created['id']}"}
        claims = claims_of(token)
        newest = next((one for one in reversed(self.sessions) if one.key == claims.key), None)
        if method == "DELETE" and path == "/sessions/logout":
            if newest is None:
                raise FakeProblem(404, "no_current_session", "This token has no session.")
            self.end(newest, "logout")
            return 200, {"success": True, "message": "Current session closed successfully"}, {}
        if newest is not None and newest.end_reason is not None:
            raise refused(newest)
        if method == "GET" and path == "/sessions/validate":
            if newest is None:
                raise FakeProblem(401, "session_unknown", "This token has no session.")
            return 200, newest.liveness(), {"X-Session-Id": str(newest.id), "X-User-Id": str(newest.user_id)}
        if method == "GET" and path == "/sessions/my-sessions":
            current_id = newest.id if newest else None
            return 200, [one.shown(current_id) for one in reversed(self._active(claims.user_id))], {}
        if method == "DELETE" and path.startswith("/sessions/session/"):
            own = [one for one in self.sessions if one.user_id == claims.user_id and path.endswith(f"/{one.id}")]
            if not own:
                raise FakeProblem(404, "session_not_found", "Session not found")
            self.end(own[0], "logout" if own[0] is newest else "revoked")
            return 200, {"success": True, "message": "Session closed successfully"}, {}
        raise FakeProblem(404, "not_found", "Not found")

    def _for_services(self, method: str, path: str, query: dict[str, str]) -> Any:
        if path == "/sessions/feed":
            after = int(query.get("after", len(self.ends)))
            events = [
                {
                    "id": number,
                    "type": "session.ended",
                    "timestamp": datetime.now(timezone.utc).isoformat(),
                    "data": {"session_id": session_id},
                }
                for number, session_id in enumerate(self.ends[after:], after + 1)
            ]
            position, lease = str(len(self.ends)), self.lease_seconds
            return {"events": events, "position": position, "complete": True, "lease_seconds": lease}
        user = path.rpartition("/")[2]
        mine = [one for one in self.sessions if str(one.user_id) == user]
        if method == "DELETE":
            closed = self.end_user(mine[0].user_id) if mine else 0
            plural = "session" if closed == 1 else "sessions"
            said = {"success": True, "message": f"{closed} {plural} closed successfully", "closed": closed}
            return {**said, **({"everywhere": True} if query.get("everywhere") == "true" else {})}
        shown = [one.shown(None) for one in reversed(mine) if one.end_reason is None or "include_inactive" in query]
        return [{**one, "ended_by": None, "because": None} for one in shown]


class _Transport(httpx.BaseTransport):
    def __init__(self, service: FakeService) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._service.answer(request)


class _AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self, service: FakeService) -> None:
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._service.answer(request)


__all__ = ["CREDENTIALS", "FakeService", "FakeSession"]
