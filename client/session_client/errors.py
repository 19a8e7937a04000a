"""What can go wrong, as a tree. The adapters answer each of them; a handler of your own can, too.

SessionClientError
├── Refused               the service answered no; `answer` has its status, headers and body for the caller
│   ├── SessionEnded      401 session_ended: `reason` and `detail` say why
│   └── TokenRefused      any other 401: no token, an invalid or expired one, one without a session
└── ServiceUnavailable    neither yes nor no: no usable answer in time
"""

import json

from session_client.answers import Answer


class SessionClientError(Exception):
    """Base of all errors of this library."""


class Refused(SessionClientError):
    """The service refused the call; `answer` is what it said, and goes to the caller unchanged."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.code}: {answer.detail}")
        self.answer = answer

    @property
    def code(self) -> str:
        """The error code for programs, for example `session_limit_reached`; empty if the answer has none."""
        return self.answer.code

    @property
    def detail(self) -> str:
        """The reason in words for the user of the device."""
        return self.answer.detail


class SessionEnded(Refused):
    """401 `session_ended`: the token is valid, but its session has ended."""

    def __init__(self, reason: str, detail: str, answer: Answer | None = None) -> None:
        """Take why the session ended (`end_reason`), the words for its user, and the service's answer.

        Without *answer*, as in a test of your own, one of the same shape is made.
        """
        super().__init__(answer or _problem(401, "session_ended", detail, end_reason=reason))
        self.reason = reason


class TokenRefused(Refused):
    """401 for another reason: `token_missing`, `token_invalid`, `token_expired`, `session_unknown`."""


class ServiceUnavailable(SessionClientError):
    """The service gave no usable answer in time: the session may be active or not, a change may have happened or not.

    `retry_after` is the number of whole seconds after which the caller may try again.
    """

    def __init__(self, why: str = "", retry_after: int = 1) -> None:
        super().__init__(why)
        self.retry_after = retry_after

    @property
    def answer(self) -> Answer:
        """The answer for the caller: 503 with `Retry-After`."""
        plain = _problem(503, "service_unavailable", "Try again in a moment.")
        return Answer(503, {**plain.headers, "retry-after": str(self.retry_after)}, plain.body)


def refusal_of(answer: Answer) -> Refused:
    """Return the error for an answer that is a refusal."""
    if answer.status != 401:
        return Refused(answer)
    if answer.code == "session_ended":
        return SessionEnded(str(answer.problem.get("end_reason", "")), answer.detail, answer)
    return TokenRefused(answer)


def _problem(status: int, code: str, detail: str, **more: str) -> Answer:
    title = {401: "Unauthorized", 503: "Service Unavailable"}[status]
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code, **more}
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    if status == 401:
        headers |= {
            "www-authenticate": 'Bearer realm="sessions", error="invalid_token"',
            "x-session-code": code,
        }
    return Answer(status, headers, json.dumps(body).encode())
