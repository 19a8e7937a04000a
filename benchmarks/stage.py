"""Prepares a run: databases, servers and subjects."""

import secrets
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from random import Random
from time import monotonic

from benchmarks import seed, subjects
from benchmarks.agreement import check_agreement
from benchmarks.load import CONNECTIONS
from benchmarks.memory import Alone
from benchmarks.node.express import node, seed_express
from benchmarks.plan import People, Sizes, Subject
from benchmarks.servers import PROJECT, Postgres, Server, clean_environment, gunicorn, uvicorn

DATABASES = ("users", "small", "large", "alternative", "node")
_SEED = 74
"""Fixed, so that the same users are active in every run."""
_BEGAN = monotonic()


def say(words: str) -> None:
    """Print the progress, with the seconds since the start."""
    print(f"{monotonic() - _BEGAN:6.1f} s  {words}", flush=True)


class Stage:
    """Filled databases, and people who send requests to them."""

    def __init__(self, database: Postgres, sizes: Sizes) -> None:
        self._secret, self._random = secrets.token_hex(32), Random(_SEED)
        self._people = People(sizes, self._secret, self._random)
        self._urls = {name: database.new_database(name) for name in DATABASES}
        self._sizes = sizes
        self._fill_ours()
        self._fill_others()
        database.checkpoint()

    def start(self, running: ExitStack) -> list[Subject]:
        """Start the servers, which stop when *running* ends; return the subjects.

        Raises:
            Disagreement: the servers do not do the same.
        """
        say("starting the servers and comparing their answers")
        urls, people, random = self._urls, self._people, self._random
        bare, wsgi = (
            running.enter_context(gunicorn(f"benchmarks.bare:{name}", urls["users"], self._secret))
            for name in ("app", "wsgi")
        )
        ours = {name: running.enter_context(self._ours(name)) for name in ("users", "small", "large")}
        pasted, tuned = (
            running.enter_context(self._alternative(settings)) for settings in ({}, {"POOL_SIZE": str(CONNECTIONS)})
        )
        express = running.enter_context(self._node())
        check_agreement(ours["users"], pasted, express, people.witness, self._secret)
        alternatives = {"alternative": pasted, "alternative-tuned": tuned}
        return [
            *subjects.bare({"wsgi": wsgi, "bare": bare}, people, random),
            *subjects.of_users(subjects.Place(ours["users"], urls["users"], people.hot), people, random),
            subjects.of_feed(subjects.Place(ours["small"], urls["small"], []), self._secret),
            *subjects.of_node(subjects.Place(express, urls["node"], people.hot), people, random),
            *subjects.of_alternatives(alternatives, urls["alternative"], people, random),
            *(
                one
                for name, population, active in (
                    ("small", self._sizes.small, people.small),
                    ("large", self._sizes.large, people.large),
                )
                for one in subjects.of_scale(name, population, subjects.Place(ours[name], urls[name], active), random)
            ),
        ]

    def alone(self, of: list[Subject]) -> list[Alone]:
        """Return the servers whose memory is measured, with those of the subjects *of* that are their load."""
        by_key = {subject.key: subject for subject in of}
        ours = [by_key[key] for key in ("validate", "my-sessions", "create")]
        pasted = [by_key[f"alternative-{key}"] for key in ("current", "my-sessions", "create")]
        return [
            Alone("service", "this service", partial(self._ours, "users"), ours),
            Alone("alternative", "the alternative (FastAPI)", partial(self._alternative, {}), pasted),
            Alone("node", "Node", self._node, [by_key["node-session"]]),
        ]

    def _ours(self, name: str) -> AbstractContextManager[Server]:
        return gunicorn("wsgi:app", self._urls[name], self._secret, SERVICE_CREDENTIALS=f"reader:{self._secret}")

    def _alternative(self, settings: Mapping[str, str]) -> AbstractContextManager[Server]:
        return uvicorn("benchmarks.alternative:app", {**self._environment(), **settings})

    def _node(self) -> AbstractContextManager[Server]:
        return node(self._urls["node"], self._secret)

    def _environment(self) -> dict[str, str]:
        url = self._urls["alternative"].replace("://", "+psycopg2://", 1)
        return {"DATABASE_URL": url, "JWT_SECRET_KEY": self._secret}

    def _fill_ours(self) -> None:
        people, sizes = self._people, self._sizes
        for name, population, bearers in (
            ("users", sizes.users, [*people.hot, *people.first, people.witness]),
            ("small", sizes.small, people.small),
            ("large", sizes.large, people.large),
        ):
            say(f"seeding {population.rows:,} sessions of {population.users:,} users")
            seed.migrate(self._urls[name], self._secret)
            seed.seed_service(self._urls[name], population)
            seed.make_known(self._urls[name], bearers, self._secret)

    def _fill_others(self) -> None:
        say("seeding the tables of the others")
        make_tables = [sys.executable, "-m", "benchmarks.alternative"]
        subprocess.run(make_tables, check=True, cwd=PROJECT, env=clean_environment(self._environment()))
        seed.seed_alternative(self._urls["alternative"], self._sizes.users)
        seed_express(self._urls["node"], self._sizes.users)
