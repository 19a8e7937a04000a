"""The subjects of a run: which requests go to which server."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from random import Random

from benchmarks.load import request
from benchmarks.node.express import get_session
from benchmarks.plan import People, Subject, at_random, get, sign_ins
from benchmarks.seed import Bearer, Population
from benchmarks.servers import Server

IDLE_POSITION = "1-0"
"""Nothing happens in that database, so no event is after any position."""


@dataclass(frozen=True)
class Place:
    """A server on a database of its own, and the sessions that are in use there."""

    server: Server
    url: str
    active: list[Bearer]

    def ids(self) -> list[int]:
        """Return the ids of these sessions."""
        return [one.session_id for one in self.active]


def bare(servers: Mapping[str, Server], people: People, random: Random) -> Iterator[Subject]:
    """Yield the answer of `validate` without any work for it, with and without Flask."""
    requests = get("/sessions/validate", people.hot)
    for key, label in (("wsgi", "a bare WSGI callable"), ("bare", "a bare Flask view")):
        yield Subject(key, label, servers[key], at_random(requests, random))


def of_users(place: Place, people: People, random: Random) -> list[Subject]:
    """Return the service's own requests."""
    server, url = place.server, place.url
    validate, mine = get("/sessions/validate", people.hot), get("/sessions/my-sessions", people.hot)
    first, create = get("/sessions/validate", people.first), sign_ins(people.newcomers, people.secret)
    first_ids = [one.session_id for one in people.first]
    label_of_first = "`validate`, tokens seen for the first time"
    return [
        Subject("validate", "`validate`", server, at_random(validate, random), 200, url, place.ids()),
        Subject("validate-first", label_of_first, server, iter(first), 200, url, first_ids),
        Subject("my-sessions", "`my-sessions`", server, at_random(mine, random), 200, url, place.ids()),
        Subject("create", "`create` with eviction", server, iter(create), 201, url),
    ]


def of_feed(place: Place, secret: str) -> Subject:
    """Return a question to the feed while nothing happens: a backend that remembers asks it all the time."""
    credentials = b64encode(f"reader:{secret}".encode()).decode()
    question = request("GET", f"/sessions/feed?after={IDLE_POSITION}", f"Authorization: Basic {credentials}", "reader")
    return Subject("feed", "a question to the idle feed", place.server, repeat(question), 200, place.url)


def of_node(place: Place, people: People, random: Random) -> Iterator[Subject]:
    """Yield the request for the session of a cookie."""
    requests = get_session(people.hot, people.secret)
    label = "Node: session, with its touch"
    yield Subject("node-session", label, place.server, at_random(requests, random), 200, place.url)


def of_alternatives(servers: Mapping[str, Server], url: str, people: People, random: Random) -> Iterator[Subject]:
    """Yield the same three requests to each of the alternative's servers, which share one database."""
    current, mine = get("/sessions/current", people.hot), get("/sessions/my-sessions", people.hot)
    create = iter(sign_ins(people.newcomers, people.secret))  # shared by the servers: each request is sent once
    for name, server in servers.items():
        label = name.replace("-", ", ")
        yield Subject(f"{name}-current", f"{label}: current session", server, at_random(current, random), 200, url)
        yield Subject(f"{name}-my-sessions", f"{label}: list", server, at_random(mine, random), 200, url)
        yield Subject(f"{name}-create", f"{label}: sign-in with eviction", server, create, 201, url)


def of_scale(name: str, population: Population, place: Place, random: Random) -> Iterator[Subject]:
    """Yield the same two requests for a table of another size."""
    for path in ("validate", "my-sessions"):
        requests = at_random(get(f"/sessions/{path}", place.active), random)
        label = f"`{path}`, {population.rows:,} rows"
        yield Subject(f"{path}-{name}", label, place.server, requests, 200, place.url, place.ids())
