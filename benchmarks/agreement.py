"""Checks that the services do the same work: for the same rows and requests, they return and end the same sessions."""

import json
from http.client import HTTPConnection
from typing import Any

from benchmarks.node.express import cookie_of
from benchmarks.people import NEW_USER_AGENTS, token_of
from benchmarks.seed import Bearer
from benchmarks.servers import Server


class Disagreement(Exception):
    """The two services are not comparable."""


def check_agreement(ours: Server, theirs: Server, express: Server, bearer: Bearer, secret: str) -> None:
    """Read the sessions of a seeded token's user from both services, and sign that user in on one more device.

    The Node server, *express*, only tells the session and the user.

    Raises:
        Disagreement: the services return different sessions, or end different ones.
    """
    current = _ask(ours, "/sessions/validate", bearer)["session_id"], _ask(theirs, "/sessions/current", bearer)["id"]
    _expect("the current session", current, (bearer.session_id, bearer.session_id))
    answers = _ask(ours, "/sessions/validate", bearer), _session(express, bearer, secret)
    _expect("the members of a session", *map(sorted, answers))
    for name in ("active", "session_id", "user_id"):
        _expect(f"the session's {name}", answers[0][name], answers[1][name])
    before = _my_sessions(ours, bearer), _my_sessions(theirs, bearer)
    _expect("the user's sessions", before[0], before[1])
    for server in (ours, theirs):
        _sign_in(server, bearer.user_id, secret)
    after = _my_sessions(ours, bearer), _my_sessions(theirs, bearer)
    for old, new in zip(before, after, strict=True):
        _expect("the ended session", sorted(set(old) - set(new)), [min(old)])
        _expect("the number of sessions", len(new), len(old))


def _my_sessions(server: Server, bearer: Bearer) -> list[int]:
    return sorted(session["id"] for session in _ask(server, "/sessions/my-sessions", bearer))


def _session(server: Server, bearer: Bearer, secret: str) -> Any:
    headers = {"Cookie": cookie_of(bearer, secret), "User-Agent": bearer.user_agent}
    return _call(server, "GET", "/session", headers)


def _sign_in(server: Server, user_id: int, secret: str) -> None:
    headers = {
        "Authorization": f"Bearer {token_of(user_id, 1_000_000_000, secret)}",
        "User-Agent": NEW_USER_AGENTS[0],
        "Content-Type": "application/json",
    }
    _call(server, "POST", "/sessions/create", headers, json.dumps({"device_fingerprint": "one more"}))


def _ask(server: Server, path: str, bearer: Bearer) -> Any:
    return _call(server, "GET", path, {"Authorization": f"Bearer {bearer.token}", "User-Agent": bearer.user_agent})


def _call(server: Server, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Any:
    connection = HTTPConnection(*server.address, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    _expect(f"the status of {method} {path}", answer.status, 201 if method == "POST" else 200)
    return json.loads(text)


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Disagreement(f"{what}: {found} and {wanted}")
