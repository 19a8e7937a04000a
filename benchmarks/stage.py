"""Prepares a run: databases, servers and subjects."""

import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from time import monotonic

from benchmarks import seed
from benchmarks.agreement import check_agreement
from benchmarks.load import CONNECTIONS
from benchmarks.plan import People, Sizes, Subject, at_random, get, sign_ins
from benchmarks.seed import Bearer, Population
from benchmarks.servers import PROJECT, Postgres, Server, clean_environment, gunicorn, uvicorn

_SEED = 74
"""Fixed, so that the same users are active in every run."""
_BEGAN = monotonic()


@dataclass(frozen=True)
class Place:
    """A service on a database of its own, and the sessions that are in use there."""

    server: Server
    url: str
    active: list[Bearer]


def say(words: str) -> None:
    """Print the progress, with the seconds since the start."""
    print(f"{monotonic() - _BEGAN:6.1f} s  {words}", flush=True)


def prepare(running: ExitStack, database: Postgres, sizes: Sizes) -> list[Subject]:
    """Fill the databases, and start the servers, which stop when *running* ends; return the subjects."""
    secret, random = secrets.token_hex(32), Random(_SEED)
    people = People(sizes, secret, random)
    urls = {name: database.new_database(name) for name in ("users", "small", "large", "alternative")}
    for name, bearers in (
        ("users", [*people.hot, *people.first, people.witness]),
        ("small", people.small),
        ("large", people.large),
    ):
        population = getattr(sizes, name)
        say(f"seeding {population.rows:,} sessions of {population.users:,} users")
        seed.migrate(urls[name], secret)
        seed.seed_service(urls[name], population)
        seed.make_known(urls[name], bearers, secret)
    say("seeding the alternative's tables")
    environment = {"DATABASE_URL": urls["alternative"].replace("://", "+psycopg2://", 1), "JWT_SECRET_KEY": secret}
    make_tables = [sys.executable, "-m", "benchmarks.alternative"]
    subprocess.run(make_tables, check=True, cwd=PROJECT, env=clean_environment(environment))
    seed.seed_alternative(urls["alternative"], sizes.users)
    database.checkpoint()
    say("starting the servers and comparing their answers")
    bare = running.enter_context(gunicorn("benchmarks.bare:app", urls["users"], secret))
    ours = {
        name: running.enter_context(gunicorn("wsgi:app", urls[name], secret)) for name in ("users", "small", "large")
    }
    alternative, tuned = (
        running.enter_context(uvicorn("benchmarks.alternative:app", {**environment, **settings}))
        for settings in ({}, {"POOL_SIZE": str(CONNECTIONS)})
    )
    check_agreement(ours["users"], alternative, people.witness, secret)
    return [
        Subject("bare", "a bare Flask view", bare, at_random(get("/sessions/validate", people.hot), random)),
        *_subjects_of_users(ours["users"], urls["users"], people, random),
        *_subjects_of_alternative(
            {"alternative": alternative, "alternative-tuned": tuned}, urls["alternative"], people, random
        ),
        *_subjects_of_scale("small", sizes.small, Place(ours["small"], urls["small"], people.small), random),
        *_subjects_of_scale("large", sizes.large, Place(ours["large"], urls["large"], people.large), random),
    ]


def _subjects_of_users(server: Server, url: str, people: People, random: Random) -> list[Subject]:
    validate, mine = get("/sessions/validate", people.hot), get("/sessions/my-sessions", people.hot)
    first, create = get("/sessions/validate", people.first), sign_ins(people.newcomers, people.secret)
    return [
        Subject("validate", "`validate`", server, at_random(validate, random), 200, url, ids(people.hot)),
        Subject(
            "validate-first",
            "`validate`, tokens seen for the first time",
            server,
            iter(first),
            200,
            url,
            ids(people.first),
        ),
        Subject("my-sessions", "`my-sessions`", server, at_random(mine, random), 200, url, ids(people.hot)),
        Subject("create", "`create` with eviction", server, iter(create), 201, url),
    ]


def _subjects_of_alternative(
    servers: Mapping[str, Server], url: str, people: People, random: Random
) -> Iterator[Subject]:
    current, mine = get("/sessions/current", people.hot), get("/sessions/my-sessions", people.hot)
    create = iter(sign_ins(people.newcomers, people.secret))  # shared by both servers: each request is sent once
    for name, server in servers.items():
        label = name.replace("-", ", ")
        yield Subject(f"{name}-current", f"{label}: current session", server, at_random(current, random), 200, url)
        yield Subject(f"{name}-my-sessions", f"{label}: list", server, at_random(mine, random), 200, url)
        yield Subject(f"{name}-create", f"{label}: sign-in with eviction", server, create, 201, url)


def _subjects_of_scale(name: str, population: Population, place: Place, random: Random) -> list[Subject]:
    return [
        Subject(
            f"{path}-{name}",
            f"`{path}`, {population.rows:,} rows",
            place.server,
            at_random(get(f"/sessions/{path}", place.active), random),
            200,
            place.url,
            ids(place.active),
        )
        for path in ("validate", "my-sessions")
    ]


def ids(bearers: list[Bearer]) -> list[int]:
    """Return the session ids of *bearers*."""
    return [one.session_id for one in bearers]
