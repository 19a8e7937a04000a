"""What only the auth server knows, asked over HTTP in the caller's own name: does a user exist?"""

from urllib.parse import quote

import urllib3

from session_service.config import Settings
from session_service.errors import AuthServerUnavailable, UserNotFound
from session_service.records import Principal

_TIMEOUT = urllib3.Timeout(total=2)


def _path_segment(text: str) -> str:
    """Return *text* as one segment of a path, dots too: `..` would lead elsewhere, with the caller's token."""
    return quote(text, safe="").replace(".", "%2E")


class UserDirectory:
    """The auth server's users; without `AUTH_SERVER_USER_URL` every id may be a user."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.AUTH_SERVER_USER_URL
        self._pool = urllib3.PoolManager(maxsize=8, timeout=_TIMEOUT, retries=False)

    def require_user(self, user_id: str, by: Principal) -> None:
        """Ask whether *user_id* is a user, with the token of *by*; a service has none, so nothing is asked.

        Raises:
            UserNotFound: the auth server answered 404.
            AuthServerUnavailable: it gave no answer, or one that is neither yes (2xx) nor no.
        """
        if self._url is None or by.bearer is None:
            return
        status = self._status(self._url.replace("{user_id}", _path_segment(user_id)), by.bearer)
        if status == 404:
            raise UserNotFound
        if not 200 <= status < 300:
            raise AuthServerUnavailable(retry_after=1)

    def _status(self, url: str, bearer: str) -> int:
        """Return the status of the answer; its body may hold a password hash and is never read."""
        try:
            answer = self._pool.request(
                "GET", url, headers={"Authorization": f"Bearer {bearer}"}, redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise AuthServerUnavailable(retry_after=1) from error
        # An unread body would be taken for the next answer if the connection went back to the pool.
        answer.close()
        return answer.status
