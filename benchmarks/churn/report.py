"""Turns the results into tables and JSON."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.churn.compare import CHURNED, FRESH, REQUESTS, HotShare
from benchmarks.churn.plan import MOST, RETENTION_DAYS, Churn
from benchmarks.churn.tables import TABLES, Snapshot
from benchmarks.measure import Turn
from benchmarks.report import TRIAL
from benchmarks.results import Figure, figure

MIB = 2**20


@dataclass(frozen=True)
class Result:
    """What a run found."""

    fresh: Snapshot
    days: Sequence[Snapshot]
    """The churned database before the first day, after each day, and after autovacuum had nothing left to do."""
    hot: Mapping[str, HotShare]
    turns: Sequence[Turn]


@dataclass(frozen=True)
class Row:
    """A figure of both databases, and how many times the fresh one's the churned one's is."""

    words: str
    fresh: str
    churned: str
    ratio: float
    shown_ratio: str

    @property
    def is_met(self) -> bool:
        return self.ratio <= MOST


@dataclass(frozen=True)
class Report:
    """The results of a run, and the machine that it ran on."""

    result: Result
    churn: Churn
    date: str
    machine: Mapping[str, str]
    is_trial: bool = False

    def markdown(self) -> str:
        """Return the tables and the description of the machine."""
        churn = self.churn
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        return (
            f"# What {churn.sign_ins:,} sign-ins leave behind, {self.date}\n\n{TRIAL if self.is_trial else ''}"
            f"{churn.users:,} users, each with three active sessions, signed in once on each of {churn.days} simulated"
            f" days. {1 - churn.logouts:.0%} of the sign-ins evicted a session, before the others the user had signed"
            f" out. After {churn.uses:.0%} of them a session was used, half of the time with a refreshed token. A daily"
            f" purge kept ended sessions for {RETENTION_DAYS} days. Autovacuum looked once a second."
            f" [How to read this](../README.md#growth-under-churn).\n\n"
            f"## Compared with a fresh database of the same number of sessions\n\n{self._comparison()}\n"
            f"Costs are medians of {churn.turns.rounds} rounds of {churn.turns.seconds:g} s each, in microseconds of"
            " processor time; a ratio is computed within each round, with the least and the most in parentheses. Sizes"
            " are in MiB.\n\n"
            f"## Day by day\n\n{self._growth()}\n## The machine\n\n{machine}\n"
        )

    def json(self) -> str:
        """Return all figures."""
        content = {"date": self.date, "is_trial": self.is_trial, "machine": dict(self.machine)}
        content |= {"sizes": asdict(self.churn), "fresh": asdict(self.result.fresh)}
        content |= {"days": [asdict(one) for one in self.result.days]}
        content |= {"hot": {name: asdict(one) for name, one in self.result.hot.items()}}
        content |= {"ratios": {row.words: row.ratio for row in self._rows()}}
        content |= {"turns": [asdict(turn) for turn in self.result.turns]}
        return json.dumps(content, indent=1) + "\n"

    def _comparison(self) -> str:
        head = f"| | fresh | churned | ratio | at most {MOST:g} |\n|---|---|---|---|---|\n"
        last, hot = self.result.days[-1], self.result.hot
        dead = ", ".join(f"{last.tables[name].dead:,} in `{name}`" for name in TABLES)
        shares = f"{hot[FRESH].percent:.1f} % | {hot[CHURNED].percent:.1f} %"
        return (
            head
            + "".join(
                f"| {row.words} | {row.fresh} | {row.churned} | {row.shown_ratio} | {'yes' if row.is_met else 'no'} |\n"
                for row in self._rows()
            )
            + f"| HOT share of {hot[FRESH].writes:,} activity writes | {shares} | | |\n"
            + f"| HOT share of the activity writes while sessions were created | | {self._hot_share():.1f} % | | |\n"
            + f"\nDead rows left by autovacuum: {dead}, of {last.tables['sessions'].rows:,} sessions.\n"
        )

    def _rows(self) -> Iterator[Row]:
        for path in REQUESTS:
            yield self._cost(f"cost of `{path}`", path, lambda turn: turn.us)
            yield self._cost(f"PostgreSQL's share of `{path}`", path, lambda turn: turn.database_us)
        fresh, last = self.result.fresh, self.result.days[-1]
        yield _size("all tables", fresh.table_bytes, last.table_bytes)
        for name in TABLES:
            yield _size(f"table `{name}`", fresh.tables[name].bytes, last.tables[name].bytes)
        yield _size("all indexes", fresh.index_bytes, last.index_bytes)
        for name, size in fresh.indexes.items():
            yield _size(f"index `{name}`", size, last.indexes[name])

    def _cost(self, words: str, path: str, value: Callable[[Turn], float]) -> Row:
        of = {(turn.round, turn.subject): value(turn) for turn in self.result.turns}
        numbers = range(self.churn.turns.rounds)
        fresh, churned = ([of[number, f"{path}-{name}"] for number in numbers] for name in (FRESH, CHURNED))
        ratio = figure(new / old if old else 0.0 for old, new in zip(fresh, churned, strict=True))
        return Row(words, _median(figure(fresh)), _median(figure(churned)), ratio.median, ratio.shown(2))

    def _growth(self) -> str:
        head = "| | sessions | dead rows | tables, MiB | indexes, MiB | autovacuums |\n|---|---|---|---|---|---|\n"
        days = self.result.days
        names = ["before", *(f"day {number}" for number in range(1, len(days) - 1)), "after autovacuum"]
        return head + "".join(
            f"| {name} | {day.tables['sessions'].rows:,} | {sum(one.dead for one in day.tables.values()):,} |"
            f" {day.table_bytes / MIB:,.0f} | {day.index_bytes / MIB:,.0f} |"
            f" {sum(one.autovacuums for one in day.tables.values())} |\n"
            for name, day in zip(names, days, strict=True)
        )

    def _hot_share(self) -> float:
        """Return the share in percent of the run's updates that were HOT, of those that did not record an end.

        An update that records an end is never HOT: `ended_at` is in the conditions of two indexes.
        """
        last = self.result.days[-1].tables["sessions"]
        return 100 * last.hot_updates / (last.updates - self.churn.sign_ins)


def _size(words: str, fresh: int, churned: int) -> Row:
    ratio = churned / fresh
    return Row(f"size of {words}", f"{fresh / MIB:,.1f}", f"{churned / MIB:,.1f}", ratio, f"{ratio:.2f}")


def _median(found: Figure) -> str:
    return f"{found.median:,.0f}"
