"""The sizes of a run, the populations of the two databases, and the targets.

The days of a run are simulated: each use case is given its instant. Each user signs in once a day, and has three active
sessions all the time. The purge runs once a day and keeps ended sessions and events for a week, so there are as many of
them at the end as at the beginning. The database that the result is compared with is filled with exactly that many.
"""

from dataclasses import dataclass, replace

from benchmarks.people import AGENTS, DEVICES
from benchmarks.plan import Turns
from benchmarks.seed import Population

RETENTION_DAYS = 7
MOST = 1.2
"""Target: how many times the fresh database's figures those of the churned one may be."""

POSTGRES_SETTINGS = {
    "shared_buffers": "512MB",
    "max_connections": "200",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "8GB",
}
"""Those of `make bench`, but autovacuum and checkpoints run."""


@dataclass(frozen=True)
class Churn:
    """The sizes of a run."""

    users: int
    days: int
    processes: int
    """How many processes run use cases at the same time; more than cores, because commits wait for the disk."""
    logouts: float
    """The share of sign-ins before which the user ends a session; the others exceed the limit, so one is evicted."""
    uses: float
    """The share of sign-ins after which the user uses one of the sessions, half of the time with a refreshed token."""
    hot: int
    """Users who send the requests whose cost is measured."""
    newcomers: int
    """Users who sign in, once each, while that cost is measured."""
    touches: int
    """Activity writes to each database whose HOT share is compared."""
    turns: Turns
    naptime: str = "1s"
    """`autovacuum_naptime`. PostgreSQL's default is a minute, but a simulated day takes three."""

    @property
    def sign_ins(self) -> int:
        return self.users * self.days

    @property
    def fresh(self) -> Population:
        """The sessions of the fresh database: the last sign-in was just now."""
        return Population(
            self.users,
            ended_each=RETENTION_DAYS,
            days_apart=1,
            last_days_ago=0,
            lasted_days=DEVICES,
            ended_by_limit=True,
            agents=len(AGENTS),
        )

    @property
    def before(self) -> Population:
        """The same, before the simulated days."""
        return replace(self.fresh, last_days_ago=self.days, used_days_ago=self.days)


FULL = Churn(
    users=100_000,
    days=10,
    processes=6,
    logouts=0.1,
    uses=0.5,
    hot=2_000,
    newcomers=60_000,
    touches=20_000,
    turns=Turns(rounds=7, seconds=4, warm_up=6),
)
QUICK = Churn(
    users=1_000,
    days=10,
    processes=6,
    logouts=0.1,
    uses=0.5,
    hot=200,
    newcomers=700,
    touches=1_000,
    turns=Turns(rounds=2, seconds=0.2, warm_up=0.1),
)


def smaller(churn: Churn, users: int) -> Churn:
    """Return *churn* with fewer users.

    Each signs in only once while costs are measured, so the turns are shorter, too.
    """
    share = users / churn.users
    turns = replace(churn.turns, seconds=churn.turns.seconds * share, warm_up=churn.turns.warm_up * share)
    some = {name: max(round(getattr(churn, name) * share), 1) for name in ("hot", "newcomers")}
    return replace(churn, users=users, turns=turns, **some)
