"""Defines the requests and their senders, and the sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from benchmarks.load import request
from benchmarks.people import DEVICES, NEW_USER_AGENTS, token_of
from benchmarks.seed import Bearer, Population, bearer_of
from benchmarks.servers import Server


@dataclass(frozen=True)
class Turns:
    """How many rounds of turns there are, and how many seconds a turn and its warm-up take."""

    rounds: int
    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Sizes:
    """The sizes of a run."""

    users: Population
    small: Population
    large: Population
    hot: int
    """Users who are active at the same time, each on one device."""
    first: int
    """Tokens for `validate` that no process has verified before; each is sent once."""
    turns: Turns
    memory_seconds: float
    """How long each server is under load while its memory is measured."""


FULL = Sizes(
    users=Population(100_000),
    small=Population(10_000, ended_each=7),
    large=Population(500_000, ended_each=7),
    hot=2_000,
    first=60_000,
    turns=Turns(rounds=7, seconds=4, warm_up=4),
    memory_seconds=15,
)
QUICK = Sizes(
    users=Population(5_000),
    small=Population(500, ended_each=7),
    large=Population(25_000, ended_each=7),
    hot=200,
    first=4_000,
    turns=Turns(rounds=2, seconds=1, warm_up=0.5),
    memory_seconds=1.5,
)


@dataclass(frozen=True)
class Subject:
    """One type of request to one server: an endless sequence, or as many as are prepared."""

    key: str
    label: str
    server: Server
    requests: Iterator[bytes]
    expected: int = 200
    database: str | None = None
    """The URL of the server's database; None if it is not prepared before a turn."""
    in_use: Sequence[int] = field(default=())
    """Ids of sessions whose last activity write is set to a random time within the interval before each turn."""


class People:
    """The callers of a run.

    `hot` send requests all the time. `first` send one each. `newcomers` have three sessions and sign in once, on a
    fourth device. The `witness` sends requests only before the run. `small` and `large` send requests all the time to
    the other two databases.
    """

    def __init__(self, sizes: Sizes, secret: str, random: Random) -> None:
        self.secret = secret
        users = random.sample(range(1, sizes.users.users + 1), sizes.users.users)
        hot, witness, self.newcomers = users[: sizes.hot], users[sizes.hot], users[sizes.hot + 1 :]
        self.hot = [bearer_of(sizes.users, user, random.randrange(DEVICES), secret) for user in hot]
        # With their newest device, because a sign-in ends the session of the oldest.
        self.first = [bearer_of(sizes.users, user, DEVICES - 1, secret) for user in self.newcomers[: sizes.first]]
        self.witness = bearer_of(sizes.users, witness, DEVICES - 1, secret)
        self.small = self._some(sizes.small, sizes.hot, random)
        self.large = self._some(sizes.large, sizes.hot, random)

    def _some(self, population: Population, number: int, random: Random) -> list[Bearer]:
        users = random.sample(range(1, population.users + 1), min(number, population.users))
        return [bearer_of(population, user, random.randrange(DEVICES), self.secret) for user in users]


def get(path: str, bearers: Sequence[Bearer]) -> list[bytes]:
    """Return a GET request of each of *bearers*, from the device that its token was issued to."""
    return [request("GET", path, f"Authorization: Bearer {one.token}", one.user_agent) for one in bearers]


def sign_ins(users: Sequence[int], secret: str) -> list[bytes]:
    """Return a sign-in request of each of *users*, with a new token on a new device."""
    numbers = count(DEVICES)
    return [_sign_in(user, next(numbers), secret) for user in users]


def _sign_in(user: int, number: int, secret: str) -> bytes:
    device = {
        "device_fingerprint": f"new fingerprint {number}",
        "device_name": "Somebody's device",
        "device_type": "web",
        "browser": "Browser",
    }
    user_agent = NEW_USER_AGENTS[number % len(NEW_USER_AGENTS)]
    token = token_of(user, number, secret)
    return request("POST", "/sessions/create", f"Authorization: Bearer {token}", user_agent, device)


def at_random(requests: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Yield random *requests* without end."""
    while True:
        yield random.choice(requests)
