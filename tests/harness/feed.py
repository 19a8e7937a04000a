"""A reader of the feed, and transactions that hold it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, text

from tests.harness.processes import wait_until
from tests.harness.support import basic, body

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
BACKEND = basic("backend", CREDENTIALS["backend"])


class Reader:
    """Follows the feed from the present position on."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self.position = self._ask("")["position"]

    def read(self) -> dict[str, Any]:
        """Ask once, and move on."""
        page = self._ask(f"?after={self.position}")
        self.position = page["position"]
        return page

    def new(self) -> list[dict[str, Any]]:
        """Return the events that are new; wait for the transactions of other tests on the same server."""
        found: list[dict[str, Any]] = []

        def is_complete() -> bool:
            page = self.read()
            found.extend(page["events"])
            return bool(page["complete"])

        wait_until(is_complete, "an answer that is complete")
        return found

    def events(self) -> list[tuple[str, int, str]]:
        """Return the type, session and reason of each event that is new."""
        return [(one["type"], one["data"]["session_id"], one["data"]["reason"]) for one in self.new()]

    def _ask(self, query: str) -> dict[str, Any]:
        answer = self._client.get(f"/sessions/feed{query}", headers=BACKEND)
        assert answer.status_code == 200, answer.json
        page: dict[str, Any] = body(answer)
        return page


@contextmanager
def under_way(engine: Engine) -> Iterator[Connection]:
    """Keep a transaction of somebody else open that has an id; roll it back."""
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        yield connection
        connection.rollback()
