"""`python -m benchmarks.search`: fill a database, ask for pages, end by criteria, try a limit, print the figures."""

import argparse
import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from statistics import median
from time import monotonic
from typing import Any

import psycopg
import urllib3
from sqlalchemy import event

from benchmarks import seed
from benchmarks.people import NEW_USER_AGENTS
from benchmarks.processor import seconds_of
from benchmarks.search.questions import NETWORK, POPULAR, Question, questions
from benchmarks.seed import Population
from benchmarks.servers import POSTGRES_SETTINGS, Postgres, gunicorn, postgres
from benchmarks.stage import say
from session_service.app import create_app
from session_service.components import components
from session_service.config import Settings
from session_service.database.engine import db
from session_service.records import Client, Principal, Token
from session_service.rules.criteria import Criteria
from session_service.services.end_by_criteria import Ending, count, end_some
from session_service.services.what_if import what_if

SERVICE, PASSWORD = "bench", secrets.token_hex(16)  # pragma: allowlist secret
SECONDS, SIGN_INS, ROUNDS = 2.0, 4_000, 3
MOST_MILLISECONDS = 20

WITHOUT_INDEXES = """
    DROP INDEX ix_sessions_network_id, ix_sessions_created_at_id, ix_sessions_ended_at_id;
    CREATE INDEX ix_sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
"""
WITH_INDEXES = """
    DROP INDEX ix_sessions_ended;
    CREATE INDEX ix_sessions_network_id ON sessions (network, id);
    CREATE INDEX ix_sessions_created_at_id ON sessions (created_at, id);
    CREATE INDEX ix_sessions_ended_at_id ON sessions (ended_at, id) WHERE ended_at IS NOT NULL;
"""


def main() -> None:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(prog="make bench-search", description="Measure what a search costs.")
    parser.add_argument("--users", type=int, default=500_000, help="with ten sessions each, three of them active")
    users = parser.parse_args().users
    key = secrets.token_hex(32)
    with postgres({**POSTGRES_SETTINGS, "max_wal_size": "4GB"}) as database:
        url = database.new_database("search")
        population = Population(users, ended_each=7)
        say(f"seeding {population.rows:,} sessions of {users:,} users")
        seed.migrate(url, key)
        seed.seed_sessions(url, population, NETWORK)
        settings = Settings(DATABASE_URL=url, JWT_SECRET_KEY=key, MAX_SIGN_INS_PER_MINUTE=0)
        _pages(database, url, key)
        app = create_app(settings)
        with app.app_context():
            _what_if(database, settings)
            _ends(database, settings)
            _sign_ins(database, url, settings, users)
            db.engine.dispose()


def _pages(database: Postgres, url: str, key: str) -> None:
    with gunicorn("wsgi:app", url, key, SERVICE_CREDENTIALS=f"{SERVICE}:{PASSWORD}") as server:
        host, port = server.address
        credentials = base64.b64encode(f"{SERVICE}:{PASSWORD}".encode()).decode()
        http = urllib3.HTTPConnectionPool(host, port, maxsize=1, headers={"Authorization": f"Basic {credentials}"})
        print(f"{'a page of 100 by':54}{'service':>10}{'PostgreSQL':>12}{'together':>10}  sessions")
        for question in questions(url):
            found = len(_ask(http, question)["sessions"])
            _repeat(lambda asked=question: _ask(http, asked), 0.5)  # type: ignore[misc]
            server_began, database_began = seconds_of(server.pid), seconds_of(database.pid)
            calls = _repeat(lambda asked=question: _ask(http, asked), SECONDS)  # type: ignore[misc]
            of_server = (seconds_of(server.pid) - server_began) / calls * 1e3
            of_database = (seconds_of(database.pid) - database_began) / calls * 1e3
            together = of_server + of_database
            mark = "" if together <= MOST_MILLISECONDS else "  (too much)"
            figures = f"{of_server:7.1f} ms{of_database:9.1f} ms{together:7.1f} ms"
            print(f"{question.label:54}{figures}{found:>10}{mark}", flush=True)


def _ask(http: urllib3.HTTPConnectionPool, question: Question) -> Any:
    answer = http.request("GET", f"/sessions/search?{question.query}")
    if answer.status != 200:
        raise RuntimeError(f"{question.label}: {answer.status} {answer.data!r}")
    return answer.json()


def _repeat(call: Callable[[], object], seconds: float) -> int:
    """Repeat *call* for that long; return how often."""
    until, calls = monotonic() + seconds, 0
    while monotonic() < until:
        call()
        calls += 1
    return calls


@contextmanager
def _longest(begins: str, ends: str) -> Iterator[list[float]]:
    """Collect the seconds between two events of the engine."""
    began, lengths = [0.0], list[float]()

    def begin(*_args: object) -> None:
        began[0] = monotonic()

    def end(*_args: object) -> None:
        lengths.append(monotonic() - began[0])

    event.listen(db.engine, begins, begin)
    event.listen(db.engine, ends, end)
    try:
        yield lengths
    finally:
        event.remove(db.engine, begins, begin)
        event.remove(db.engine, ends, end)


def _what_if(database: Postgres, settings: Settings) -> None:
    began, processor = monotonic(), seconds_of(database.pid)
    with _longest("before_cursor_execute", "after_cursor_execute") as statements:
        *_, counted = what_if(settings, limit=2, limit_policy="evict_oldest", now=datetime.now(UTC))
    took, used = monotonic() - began, seconds_of(database.pid) - processor
    print(f"what-if --limit 2: {counted.sessions:,} active sessions, {counted.would_end:,} would end: {took:.1f} s,")
    print(f"  PostgreSQL {used:.1f} s; {len(statements)} statements, the longest {max(statements) * 1e3:.0f} ms")


def _ends(database: Postgres, settings: Settings) -> None:
    criteria = Criteria(networks=frozenset({f"{POPULAR}/32"}))
    ending = Ending(by=Principal(service="bench"), now=datetime.now(UTC))
    began, processor = monotonic(), seconds_of(database.pid)
    criteria, counted = count(criteria, settings, now=ending.now)
    took, used = monotonic() - began, seconds_of(database.pid) - processor
    print(f"count of {counted.sessions:,} among {counted.examined:,}: {took * 1e3:.0f} ms, PostgreSQL {used:.2f} s")
    began, processor = monotonic(), seconds_of(database.pid)
    with _longest("begin", "commit") as transactions:
        ended = sum(end_some(criteria, settings, counted, ending).ended for _ in range(5))
    took, used = monotonic() - began, seconds_of(database.pid) - processor
    print(f"end of {ended:,} in 5 calls: {took:.1f} s, PostgreSQL {used / ended * 1e6:.0f} µs each;")
    print(f"  {len(transactions)} transactions, the longest {max(transactions) * 1e3:.0f} ms")


def _sign_ins(database: Postgres, url: str, settings: Settings, users: int) -> None:
    """Compare sign-ins with an eviction, with and without the indexes of the search."""
    random, costs = Random(74), {"with": list[float](), "without": list[float]()}
    for number in range(2 * ROUNDS):
        kind = ("with", "without")[number % 2]
        with psycopg.connect(url, autocommit=True) as connection:
            if number:
                connection.execute(WITHOUT_INDEXES if kind == "without" else WITH_INDEXES)
            connection.execute("VACUUM sessions")
        database.checkpoint()
        for user_id in random.sample(range(1, users + 1), 200):
            _sign_in(user_id, settings)
        before = seconds_of(database.pid)
        for user_id in random.sample(range(1, users + 1), SIGN_INS):
            _sign_in(user_id, settings)
        costs[kind].append((seconds_of(database.pid) - before) / SIGN_INS * 1e6)
    shown = {kind: f"{median(some):.0f} µs ({', '.join(f'{one:.0f}' for one in some)})" for kind, some in costs.items()}
    print(f"PostgreSQL's share of a sign-in with an eviction: {shown['with']}, without the indexes {shown['without']}")


def _sign_in(user_id: int, settings: Settings) -> None:
    now, text = datetime.now(UTC), secrets.token_hex(8)
    expires_at = now + timedelta(days=1)
    key = sha256(text.encode()).digest()
    token = Token(str(user_id), None, key, int(expires_at.timestamp()), expires_at, is_admin=False)
    client = Client(NEW_USER_AGENTS[user_id % len(NEW_USER_AGENTS)], f"10.{user_id % 200}.{user_id // 200 % 250}.9")
    components().sign_in.create_session(
        {"device_fingerprint": text}, by=Principal(user_id=str(user_id)), token=token, client=client, now=now
    )


if __name__ == "__main__":
    main()
