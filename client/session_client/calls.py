"""The calls to the service as plain values, and what their answers mean. Threads and tasks share them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from typing import Any
from urllib.parse import quote, urlencode

from session_client.answers import Answer, Yes, yes_of
from session_client.caller import Caller
from session_client.errors import ServiceUnavailable, refusal_of

MOST_BODY_BYTES = 20_000
"""Of a forwarded body: more than the service accepts (16 kB), so that the service itself refuses larger ones."""

FORWARDED_METHODS = ("GET", "HEAD", "POST", "DELETE")


@dataclass(frozen=True)
class Call:
    """A call to the service."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller | None = None
    """For whom the call is made; None if it is the backend's own."""
    waits_for_a_lease: bool = False
    """Whether the service may wait for one lease before it answers (`everywhere=true`)."""


@dataclass(frozen=True)
class Ended:
    """What a call that ends sessions has done."""

    closed: int
    everywhere: bool
    """Whether by now no backend says yes any more: asked for with `everywhere=True`, and waited for."""


class Credentials:
    """A service's name and secret, for HTTP Basic (RFC 7617). The secret is not part of its `repr`."""

    def __init__(self, text: str) -> None:
        """Take `name:secret`.

        Raises:
            ValueError: the text has no colon, or one of the two is empty.
        """
        name, _, secret = text.partition(":")
        if not name or not secret:
            raise ValueError("credentials are name:secret")
        self.headers = {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def validate(caller: Caller) -> Call:
    """Ask whether the caller's session is active."""
    return Call("GET", "/sessions/validate", caller.headers)


def feed(path: str, query: Mapping[str, str], credentials: Credentials) -> Call:
    """Ask the feed."""
    return Call("GET", _with_query(path, query), credentials.headers)


def create(caller: Caller, device: Mapping[str, Any] | None) -> Call:
    """Begin a session for the token of *caller*."""
    headers = {**caller.headers, "Content-Type": "application/json"}
    return Call("POST", "/sessions/create", headers, dumps(dict(device or {})).encode(), caller)


def end(caller: Caller, session_id: int | None, everywhere: bool) -> Call:
    """End the caller's own session, or the one with this id."""
    path = "/sessions/logout" if session_id is None else f"/sessions/session/{int(session_id)}"
    target = _with_query(path, _everywhere(everywhere))
    return Call("DELETE", target, caller.headers, caller=caller, waits_for_a_lease=everywhere)


def end_user(user_id: int | str, because: str | None, everywhere: bool, credentials: Credentials) -> Call:
    """End all sessions of a user."""
    query = {**({} if because is None else {"because": because}), **_everywhere(everywhere)}
    target = _with_query(f"/sessions/user/{quote(str(user_id), safe='')}", query)
    return Call("DELETE", target, credentials.headers, waits_for_a_lease=everywhere)


def list_user(user_id: int | str, include_inactive: bool, credentials: Credentials) -> Call:
    """List the sessions of a user."""
    query = {"include_inactive": "true"} if include_inactive else {}
    return Call("GET", _with_query(f"/sessions/user/{quote(str(user_id), safe='')}", query), credentials.headers)


def forward(
    method: str, path: str, query: str, caller: Caller, content: tuple[str | None, bytes] | None = None
) -> Call | None:
    """Return the call that forwards a request for `/sessions/{path}`; None if the path leads elsewhere.

    Args:
        method: one of `FORWARDED_METHODS`.
        path: decoded.
        query: as it came, percent-encoded.
        caller: who called.
        content: the `Content-Type` and the body of a POST; only `MOST_BODY_BYTES` of it are needed.
    """
    if method not in FORWARDED_METHODS or {".", ".."} & set(path.split("/")):
        return None
    kind, body = content if content is not None and method == "POST" else (None, b"")
    headers = {**caller.headers, **({"Content-Type": kind} if kind is not None else {})}
    target = f"/sessions/{quote(path)}" + (f"?{quote(query, safe=_QUERY)}" if query else "")
    return Call(method, target, headers, body, caller, waits_for_a_lease=method == "DELETE" and "everywhere" in query)


_QUERY = "%!$&'()*+,;=:@/?[]~-._"
"""Characters of a query that stay as they are; the percent sign, because it is encoded already."""


def yes_or_no(answer: Answer) -> Yes:
    """Return the yes of an answer to `validate`.

    Raises:
        Refused: the service said no.
        ServiceUnavailable: anything else.
    """
    if answer.status == 401:
        raise refusal_of(answer)
    if answer.status != 200:
        raise unavailable(answer)
    try:
        return yes_of(answer)
    except ValueError as error:
        raise ServiceUnavailable(f"not the answer of validate: {error}") from error


def done(answer: Answer) -> Any:
    """Return the JSON of a call that was carried out.

    Raises:
        Refused: the service refused it.
        ServiceUnavailable: it may or may not have happened.
    """
    if 400 <= answer.status < 500:
        raise refusal_of(answer)
    if answer.status not in {200, 201}:
        raise unavailable(answer)
    try:
        return answer.json
    except ValueError as error:
        raise ServiceUnavailable("the answer is no JSON") from error


def ended(answer: Answer) -> Ended:
    """Return what a call that ends sessions has done; it raises as `done` does."""
    said = done(answer)
    if not isinstance(said, dict):
        raise ServiceUnavailable("not the answer to an end")
    return Ended(int(said.get("closed", 1)), said.get("everywhere") is True)


def unavailable(answer: Answer) -> ServiceUnavailable:
    """Return the error for an answer that is neither yes nor no."""
    after = answer.headers.get("retry-after", "")
    wait = int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 1
    return ServiceUnavailable(f"the service answered {answer.status}", wait)


def ended_sessions(call: Call, answer: Answer) -> list[int]:
    """Return the sessions of which a forwarded call's answer says that they have ended, by their ids."""
    path = call.target.partition("?")[0]
    if call.method == "DELETE" and answer.status == 200 and path.startswith("/sessions/session/"):
        text = path.rpartition("/")[2]
        return [int(text)] if text.isascii() and text.isdigit() and len(text) < 20 else []
    if call.method == "POST" and answer.status == 201 and path == "/sessions/create":
        evicted = answer.problem.get("evicted")
        found = [one.get("id") for one in evicted if isinstance(one, dict)] if isinstance(evicted, list) else []
        return [one for one in found if isinstance(one, int)]
    return []


def ends_own_session(call: Call) -> bool:
    """Return whether a call ends the session of its own caller."""
    path, _, query = call.target.partition("?")
    return call.method == "DELETE" and (
        path == "/sessions/logout" or (path == "/sessions/logout-all" and "exclude_current" not in query)
    )


def _everywhere(everywhere: bool) -> dict[str, str]:
    return {"everywhere": "true"} if everywhere else {}


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
