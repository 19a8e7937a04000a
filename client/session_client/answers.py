"""Answers of the service as plain values, and what is read from them. Nothing here calls anything."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

READABLE = ("Location", "Retry-After", "X-Request-ID", "X-Session-Code")
"""Headers of an answer that pages of other origins may read: for `Access-Control-Expose-Headers`."""

PASSED_ON = ("Content-Type", "Cache-Control", "WWW-Authenticate", "Allow", "X-Session-Id", "X-User-Id", *READABLE)
"""Headers of an answer that go to the caller. CORS headers do not: the backend sets its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, of any status. The names in `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def passed_on(self) -> dict[str, str]:
        """The headers for the caller."""
        return {name: self.headers[name.lower()] for name in PASSED_ON if name.lower() in self.headers}

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    @property
    def problem(self) -> dict[str, Any]:
        """The members of a problem document (RFC 9457); none if the body is something else."""
        try:
            said = self.json
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def code(self) -> str:
        """The error code; empty if there is none."""
        return str(self.problem.get("code") or self.headers.get("x-session-code", ""))

    @property
    def detail(self) -> str:
        """The words for people; empty if there are none."""
        return str(self.problem.get("detail", ""))


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """The user and the session of a request."""

    user_id: int | str
    session_id: int | None
    """None only under `UNKNOWN_SESSION_POLICY=allow` or `SESSION_ENFORCEMENT=observe`: there is no session."""


@dataclass(frozen=True, slots=True)
class Yes:
    """The 200 of `validate`. Times are seconds since 1970, by the clock of the service."""

    session: ActiveSession
    answered_at: float | None
    """From the header `Date`, which has whole seconds: the answer was made within the second that begins here."""
    limits: tuple[float, ...] | None
    """`expires_at` and, unless it is null, `idle_expires_at`; None if the answer does not have both."""


def yes_of(answer: Answer) -> Yes:
    """Return the yes of an answer with status 200.

    Raises:
        ValueError: it is something else.
    """
    said = answer.json
    if not isinstance(said, dict) or said.get("active") is not True:
        raise ValueError("not the answer of validate")
    user_id, session_id = said.get("user_id"), said.get("session_id")
    if isinstance(user_id, bool) or not isinstance(user_id, int | str):
        raise ValueError("no user id")
    if isinstance(session_id, bool) or not (session_id is None or isinstance(session_id, int)):
        raise ValueError("no session id")
    return Yes(ActiveSession(user_id, session_id), _answered_at(answer), _limits_of(said))


def _answered_at(answer: Answer) -> float | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()


def _limits_of(said: dict[str, Any]) -> tuple[float, ...] | None:
    given = [said.get("expires_at"), *([said["idle_expires_at"]] if said.get("idle_expires_at") is not None else [])]
    if "idle_expires_at" not in said or not all(isinstance(one, str) for one in given):
        return None
    try:
        times = [datetime.fromisoformat(_for_python_3_10(one)) for one in given]
    except ValueError:
        return None
    return None if any(one.tzinfo is None for one in times) else tuple(one.timestamp() for one in times)


def _for_python_3_10(text: str) -> str:
    """Return a time as Python 3.10 reads it: without "Z", and with six digits of a second."""
    text = text[:-1] + "+00:00" if text.endswith("Z") else text
    return re.sub(r"\.(\d{1,6})\d*", lambda found: f".{found[1]:0<6}", text)
