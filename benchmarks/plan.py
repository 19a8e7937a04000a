"""What is asked of whom, how much of it, and which ratios are looked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

from benchmarks.load import request
from benchmarks.people import DEVICES, NEW_USER_AGENTS, token_of
from benchmarks.seed import Bearer, Population, bearer_of
from benchmarks.servers import Server


@dataclass(frozen=True)
class Sizes:
    """How much is measured; seconds are of one turn."""

    users: Population
    small: Population
    large: Population
    hot: int
    """Users who are active at a time, each from one device."""
    first: int
    """Tokens for `validate` that no process has seen before; each is sent once."""
    rounds: int
    seconds: float
    warm_up: float


FULL = Sizes(
    users=Population(100_000),
    small=Population(10_000, ended_each=7),
    large=Population(500_000, ended_each=7),
    hot=2_000,
    first=60_000,
    rounds=7,
    seconds=4,
    warm_up=6,
)
QUICK = Sizes(
    users=Population(5_000),
    small=Population(500, ended_each=7),
    large=Population(25_000, ended_each=7),
    hot=200,
    first=4_000,
    rounds=2,
    seconds=1,
    warm_up=0.5,
)


@dataclass(frozen=True)
class Subject:
    """One kind of request to one server, endless or until the prepared ones are used up."""

    key: str
    label: str
    server: Server
    requests: Iterator[bytes]
    expected: int = 200
    database: str | None = None
    """The URL of the database that it uses."""
    in_use: Sequence[int] = field(default=())
    """Sessions whose activity was written some time within the last interval when a turn begins."""


@dataclass(frozen=True)
class Target:
    """A ratio of two subjects' costs: how often *dearer* contains *cheaper*."""

    words: str
    dearer: str
    cheaper: str
    most: float | None = None
    least: float | None = None

    @property
    def asked(self) -> str:
        """What is asked, in words."""
        return f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"

    def is_met(self, ratio: float) -> bool:
        """Return whether *ratio* is within what is asked."""
        return (self.most is None or ratio <= self.most) and (self.least is None or ratio >= self.least)


TARGETS = (
    Target("`validate`, in bare views", "validate", "bare", most=1.9),
    Target("the alternative's 'current session', in `validate`s", "alternative-current", "validate", least=7),
    Target("the alternative's list, in `my-sessions`", "alternative-my-sessions", "my-sessions", least=4),
    Target("the alternative's sign-in, in `create`s", "alternative-create", "create", least=5),
    Target("`validate` on the large table, in those on the small one", "validate-large", "validate-small", most=1.3),
    Target(
        "`my-sessions` on the large table, in those on the small", "my-sessions-large", "my-sessions-small", most=1.3
    ),
)


class People:
    """Who calls during a run.

    `hot` call all the time; `first` once each, and so do `newcomers`, who have three sessions and sign in on a fourth
    device; the `witness` only before the run. `small` and `large` are the hot ones of the other two databases.
    """

    def __init__(self, sizes: Sizes, secret: str, random: Random) -> None:
        self.secret = secret
        users = random.sample(range(1, sizes.users.users + 1), sizes.users.users)
        hot, witness, self.newcomers = users[: sizes.hot], users[sizes.hot], users[sizes.hot + 1 :]
        self.hot = [bearer_of(sizes.users, user, random.randrange(DEVICES), secret) for user in hot]
        # Of their newest devices: a sign-in ends the oldest.
        self.first = [bearer_of(sizes.users, user, DEVICES - 1, secret) for user in self.newcomers[: sizes.first]]
        self.witness = bearer_of(sizes.users, witness, DEVICES - 1, secret)
        self.small = self._some(sizes.small, sizes.hot, random)
        self.large = self._some(sizes.large, sizes.hot, random)

    def _some(self, population: Population, number: int, random: Random) -> list[Bearer]:
        users = random.sample(range(1, population.users + 1), min(number, population.users))
        return [bearer_of(population, user, random.randrange(DEVICES), self.secret) for user in users]


def get(path: str, bearers: Sequence[Bearer]) -> list[bytes]:
    """Return a GET by each of *bearers*, from the device that the token was issued to."""
    return [request("GET", path, one.token, one.user_agent) for one in bearers]


def sign_ins(users: Sequence[int], secret: str) -> list[bytes]:
    """Return a sign-in of each of *users*, with a fresh token on a new device."""
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
    return request("POST", "/sessions/create", token_of(user, number, secret), user_agent, device)


def at_random(requests: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Return one of *requests* after the other, without end."""
    while True:
        yield random.choice(requests)
