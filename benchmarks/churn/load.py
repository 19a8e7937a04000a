"""The load: processes that run the service's use cases without HTTP, each as a real transaction of its own."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from random import Random

from benchmarks.churn.plan import RETENTION_DAYS, Churn
from benchmarks.people import AGENTS, DEVICES
from benchmarks.seed import Population
from session_service.app import create_app
from session_service.components import Components, components
from session_service.config import Settings
from session_service.records import Client, Principal, Token
from session_service.services.current_session import current_session
from session_service.services.purge import purge

DAY = timedelta(days=1)
BATCH = 1_000
"""The default of `flask sessions purge`."""
_TOKEN_LASTS = timedelta(days=30)
_REFRESHED_LASTS = timedelta(minutes=30)
_USED_AFTER = timedelta(minutes=2)


class WrongResult(Exception):
    """A use case did something else than was planned; the figures would be meaningless."""


@dataclass(frozen=True)
class Job:
    """What one process is started with."""

    url: str
    secret: str
    churn: Churn
    began_at: datetime
    """The beginning of the simulated days."""

    def settings(self) -> Settings:
        return Settings(
            DATABASE_URL=self.url,
            JWT_SECRET_KEY=self.secret,
            RETENTION_DAYS=RETENTION_DAYS,
            EVENT_RETENTION_DAYS=RETENTION_DAYS,
        )


@dataclass(frozen=True)
class Held:
    """An active session as its user's device knows it."""

    session_id: int
    token: Token
    client: Client


def run_users(job: Job, number: int, done: "Synchronized[int]", begun: Sequence[Event]) -> None:
    """Run all days of each user whose id has the remainder *number*; count the sign-ins in *done*.

    Args:
        begun: for each day, what is set when it may begin.
    """
    app = create_app(job.settings())
    random = Random(number)
    with app.app_context():
        users = [
            User(user_id, job.churn.before, job.began_at)
            for user_id in range(1, job.churn.users + 1)
            if user_id % job.churn.processes == number
        ]
        for day in range(job.churn.days):
            begun[day].wait()
            random.shuffle(users)
            for place, user in enumerate(users):
                now = job.began_at + (day + (place + 0.5) / len(users)) * DAY
                user.spend_a_day(components(), now, random, job.churn)
                with done.get_lock():
                    done.value += 1


def run_purge(job: Job, day: int) -> None:
    """Run the purge of the end of a day, counted from 0 for the one before the first."""
    app = create_app(job.settings())
    with app.app_context():
        for _ in purge(job.settings(), now=job.began_at + day * DAY, batch=BATCH):
            pass


class User:
    """A user with three active sessions, who signs in once a day, each time with another browser than these have."""

    def __init__(self, user_id: int, population: Population, began_at: datetime) -> None:
        self._id = str(user_id)
        self._by = Principal(user_id=self._id)
        self._sign_ins = population.ended_each + DEVICES
        self._held = deque(self._seeded(user_id, population, began_at))
        self._tokens = 0

    def _seeded(self, user_id: int, population: Population, began_at: datetime) -> Iterator[Held]:
        for device in range(DEVICES):
            session_id = population.session_id(user_id, device)
            token = self._token(f"no such token {session_id}", began_at + _TOKEN_LASTS)
            yield Held(session_id, token, _client(population.ended_each + device))

    def spend_a_day(self, built: Components, now: datetime, random: Random, churn: Churn) -> None:
        """Sign in, perhaps after a logout of the oldest session; perhaps use one of the sessions then.

        Raises:
            WrongResult: another number of sessions ended, or another session was used.
        """
        signs_out = random.random() < churn.logouts
        if signs_out:
            oldest = self._held[0].session_id
            built.sessions.delete_session(oldest, by=self._by, now=now, current_id=oldest)
        self._sign_in(built, now, evictions=0 if signs_out else 1)
        if random.random() < churn.uses:
            # Half of the time with a refreshed token, which the session remembers.
            self._use(built, random.choice(self._held), now + _USED_AFTER, is_refreshed=random.random() < 0.5)

    def _sign_in(self, built: Components, now: datetime, evictions: int) -> None:
        client, token = _client(self._sign_ins), self._new_token(now + _TOKEN_LASTS)
        claimed = {"device_fingerprint": f"fingerprint {self._id} {self._sign_ins}"}
        created = built.sign_in.create_session(claimed, by=self._by, token=token, client=client, now=now)
        if len(created["evicted"]) != evictions:
            raise WrongResult(f"user {self._id}: {len(created['evicted'])} sessions were evicted, not {evictions}")
        self._sign_ins += 1
        self._held.popleft()
        self._held.append(Held(created["id"], token, client))

    def _use(self, built: Components, held: Held, now: datetime, *, is_refreshed: bool) -> None:
        token = self._new_token(now + _REFRESHED_LASTS) if is_refreshed else held.token
        used = current_session(token, held.client, built.settings, now=now)
        if used is None or used.id != held.session_id:
            raise WrongResult(f"user {self._id}: session {used and used.id} was used, not {held.session_id}")

    def _new_token(self, expires_at: datetime) -> Token:
        self._tokens += 1
        return self._token(f"token {self._tokens} of {self._id}", expires_at)

    def _token(self, text: str, expires_at: datetime) -> Token:
        key = sha256(text.encode()).digest()
        return Token(self._id, None, key, int(expires_at.timestamp()), expires_at, is_admin=False)


def _client(number: int) -> Client:
    return Client(AGENTS[number % len(AGENTS)], "127.0.0.1")
