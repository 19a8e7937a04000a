"""Compares the churned database with a fresh one: the cost of requests, measured in turns, and HOT updates."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import psycopg

from benchmarks.churn.load import Job
from benchmarks.churn.tables import snapshot, wait_for_updates
from benchmarks.measure import Turn, rounds, warm_up
from benchmarks.people import token_keys, token_of
from benchmarks.plan import Subject, at_random, get, sign_ins
from benchmarks.seed import Bearer
from benchmarks.servers import Postgres, gunicorn
from session_service.app import create_app
from session_service.clock import utcnow
from session_service.database import session_queries
from session_service.database.engine import db
from session_service.database.transaction import transaction

FRESH, CHURNED = "fresh", "churned"
REQUESTS = ("validate", "my-sessions", "create")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
_ACTIVE = """
    SELECT DISTINCT ON (user_id) user_id::int, id FROM sessions
    WHERE user_id = ANY(%s) AND ended_at IS NULL ORDER BY user_id, random()
"""
_TOKEN = "INSERT INTO session_tokens (token_key, session_id, expires_at, is_opener) VALUES (%s, %s, %s, false)"


@dataclass(frozen=True)
class HotShare:
    """Activity writes to one database, and how many of them were HOT."""

    writes: int
    hot: int

    @property
    def percent(self) -> float:
        return 100 * self.hot / self.writes


def write_activity(job: Job, random: Random) -> HotShare:
    """Write the activity of random active sessions, each in a transaction of its own; return the share of HOT ones."""
    app, number = create_app(job.settings()), job.churn.touches
    with app.app_context():
        with psycopg.connect(job.url) as connection:
            found = connection.execute("SELECT id FROM sessions WHERE ended_at IS NULL").fetchall()
        ids = random.choices([session_id for (session_id,) in found], k=number)
        before, written = snapshot(job.url), 0
        for session_id in ids:
            with transaction(writes=True):
                written += session_queries.mark_activity(
                    session_id, now=utcnow(), idle=job.settings().idle, interval=timedelta(0)
                )
        db.engine.dispose()
    after = wait_for_updates(job.url, before, written)
    sessions = before.tables["sessions"], after.tables["sessions"]
    return HotShare(sessions[1].updates - sessions[0].updates, sessions[1].hot_updates - sessions[0].hot_updates)


def costs(database: Postgres, fresh: Job, churned: Job, random: Random) -> Iterator[Turn]:
    """Measure the same requests to both databases in turns, through gunicorn as in `make bench`."""
    with ExitStack() as running:
        subjects: list[Subject] = []
        for name, job in ((FRESH, fresh), (CHURNED, churned)):
            server = running.enter_context(gunicorn("wsgi:app", job.url, job.secret))
            users = random.sample(range(1, job.churn.users + 1), job.churn.hot + job.churn.newcomers)
            hot = _with_known_tokens(job, users[: job.churn.hot])
            in_use = [one.session_id for one in hot]
            for path in REQUESTS[:2]:
                requests = at_random(get(f"/sessions/{path}", hot), random)
                subjects.append(Subject(f"{path}-{name}", f"`{path}`, {name}", server, requests, 200, job.url, in_use))
            create = iter(sign_ins(users[job.churn.hot :], job.secret))
            subjects.append(Subject(f"create-{name}", f"`create`, {name}", server, create, 201, job.url))
        database.checkpoint()
        for _ in warm_up(subjects, fresh.churn.turns.warm_up):
            pass
        yield from rounds(subjects, fresh.churn.turns, database.pid, vacuum=False)


def _with_known_tokens(job: Job, users: Sequence[int]) -> list[Bearer]:
    """Return an active session of each of *users*, with a token that it now remembers."""
    with psycopg.connect(job.url) as connection:
        found = connection.execute(_ACTIVE, [[str(user) for user in users]]).fetchall()
        bearers = [Bearer(user, session_id, _AGENT, token_of(user, 0, job.secret)) for user, session_id in found]
        keys = token_keys([one.token for one in bearers], job.secret)
        expires_at = utcnow() + timedelta(days=30)
        rows = [(key, one.session_id, expires_at) for key, one in zip(keys, bearers, strict=True)]
        connection.cursor().executemany(_TOKEN, rows)
    return bearers
