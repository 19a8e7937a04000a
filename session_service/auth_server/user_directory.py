"""The user directory: asks the auth server, with the caller's own token, who is an admin and whether a user exists.

Its answers may contain a password hash. Only the role is read from them; nothing is stored or logged.
"""

import hashlib
import json
from concurrent.futures import Future
from threading import Lock
from time import monotonic
from urllib.parse import quote

from cachetools import TTLCache

from session_service.auth_server.http_client import AuthServerClient
from session_service.config import Settings
from session_service.errors import AuthServerUnavailable, UserNotFound
from session_service.records import DirectoryState, Principal

REMEMBERED_SECONDS = 60.0
"""Counted from the beginning of the call."""

MAX_REMEMBERED = 10_000
MAX_BYTES = 64 * 1024
PARENTS = frozenset({".", ".."})
"""As a segment of a path these lead elsewhere, escaped or not, with the caller's token (RFC 3986 section 5.2.4)."""

NO_ADMIN = frozenset({401, 403})
"""The auth server refuses this token, so it is not an admin's."""


class UserDirectory:
    """The auth server's users. Without a configured URL nothing is asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._auth_server = AuthServerClient()
        self._lock = Lock()
        self._remembered: TTLCache[bytes, tuple[float, bool]] = TTLCache(MAX_REMEMBERED, REMEMBERED_SECONDS)
        self._under_way: dict[bytes, Future[bool]] = {}

    @property
    def state(self) -> DirectoryState:
        """How the auth server answered this process last. No call is made: there is no token to make it with."""
        if self._settings.AUTH_SERVER_USERINFO_URL is None and self._settings.AUTH_SERVER_USER_URL is None:
            return "not configured"
        if self._auth_server.answers is None:
            return "not asked yet"
        return "answers" if self._auth_server.answers else "does not answer"

    def require_user(self, user_id: str, by: Principal) -> None:
        """Ask whether *user_id* is a user, with the token of *by*. A service has no token, so nothing is asked for it.

        Raises:
            UserNotFound: the auth server answered 404, or the id cannot be part of a path.
            AuthServerUnavailable: it gave no answer, or one other than 2xx and 404.
        """
        if self._settings.AUTH_SERVER_USER_URL is None or by.bearer is None:
            return
        if user_id in PARENTS:
            raise UserNotFound
        url = self._settings.AUTH_SERVER_USER_URL.replace("{user_id}", quote(user_id, safe=""))
        with self._auth_server.slot():
            status = self._auth_server.get(url, bearer=by.bearer, most_bytes=MAX_BYTES).status
        if status == 404:
            raise UserNotFound
        if not 200 <= status < 300:
            raise AuthServerUnavailable(retry_after=1)

    def is_admin(self, by: Principal) -> bool:
        """Return whether the auth server says that *by* has one of `ADMIN_ROLES`; remembered for at most 60 seconds.

        Concurrent calls about one token cause one call to the auth server. A failure is not remembered.

        Raises:
            AuthServerUnavailable: it gave no usable answer.
        """
        if self._settings.AUTH_SERVER_USERINFO_URL is None or by.bearer is None:
            return False
        token = hashlib.sha256(by.bearer.encode()).digest()
        with self._lock:
            remembered = self._remembered.get(token)
        if remembered and monotonic() < remembered[0] + REMEMBERED_SECONDS:
            return remembered[1]
        with self._auth_server.slot():
            return self._ask_once(token, self._settings.AUTH_SERVER_USERINFO_URL, by.bearer)

    def _ask_once(self, token: bytes, url: str, bearer: str) -> bool:
        """Ask, or wait for another thread's answer to the same question."""
        with self._lock:
            answer = self._under_way.get(token)
            is_first = answer is None
            if answer is None:
                answer = self._under_way[token] = Future()
        if is_first:
            self._settle(answer, token, url, bearer)
        return answer.result()

    def _settle(self, answer: "Future[bool]", token: bytes, url: str, bearer: str) -> None:
        """Ask, remember the answer, and set it as the result of *answer*."""
        asked_at = monotonic()
        try:
            is_admin = self._ask(url, bearer)
        except BaseException as error:
            with self._lock:
                del self._under_way[token]
            answer.set_exception(error)
        else:
            with self._lock:
                del self._under_way[token]
                self._remembered[token] = (asked_at, is_admin)
            answer.set_result(is_admin)

    def _ask(self, url: str, bearer: str) -> bool:
        answer = self._auth_server.get(url, bearer=bearer, most_bytes=MAX_BYTES)
        if answer.status in NO_ADMIN:
            return False
        user = _parse_object(answer.body) if answer.status == 200 else None
        if user is None:
            raise AuthServerUnavailable(retry_after=1)
        return self._settings.makes_admin(user.get("role"))


def _parse_object(body: bytes | None) -> dict[str, object] | None:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
