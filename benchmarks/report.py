"""Turns the results into tables and JSON: medians and ranges over the rounds, and ratios within each round."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.measure import Turn
from benchmarks.plan import TARGETS, Sizes, Target

_YES_NO = {True: "yes", False: "no"}
TRIAL = "**A trial run (`--quick`): small tables, short turns, figures of no worth.**\n\n"


@dataclass(frozen=True)
class Figure:
    """The median, the minimum and the maximum over the rounds."""

    median: float
    least: float
    most: float

    def shown(self, digits: int = 0) -> str:
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f} to {self.most:,.{digits}f})"


def figure(values: Iterable[float]) -> Figure:
    """Return the figure for *values*, one for each round."""
    values = list(values)
    return Figure(median(values), min(values), max(values))


@dataclass(frozen=True)
class Report:
    """The results of a run, and the machine that it ran on."""

    turns: Sequence[Turn]
    labels: Mapping[str, str]
    """The label of each subject by its key, in the order of the table."""
    sizes: Sizes
    date: str
    machine: Mapping[str, str]
    is_trial: bool = False

    def of(self, subject: str, value: Callable[[Turn], float]) -> Figure:
        """Return the figure of *value* over the turns of *subject*."""
        return figure(value(turn) for turn in self.turns if turn.subject == subject)

    def ratio(self, target: Target) -> Figure:
        """Return the ratio of the target's two costs, computed within each round."""
        us = {(turn.round, turn.subject): turn.us for turn in self.turns}
        return figure(us[number, target.dearer] / us[number, target.cheaper] for number in self._rounds())

    def markdown(self) -> str:
        """Return the tables of costs and ratios, and the description of the machine."""
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        sizes, rounds = self.sizes, f"{self.sizes.rounds} rounds of {self.sizes.seconds:g} s each"
        return (
            f"# What requests cost, {self.date}\n\n{TRIAL if self.is_trial else ''}"
            f"Processor time per request in microseconds, server and PostgreSQL together: the median of {rounds}, and"
            f" in parentheses the least and the most. {sizes.users.rows:,} sessions of {sizes.users.users:,} users, of"
            f" whom {sizes.hot:,} are active. [How to read this](../README.md).\n\n"
            f"{self._costs()}\n{self._ratios()}\n## The machine\n\n{machine}\n"
        )

    def json(self) -> str:
        """Return all turns, the sizes, the machine and the ratios."""
        ratios = {f"{one.dearer} / {one.cheaper}": asdict(self.ratio(one)) for one in TARGETS}
        content = {"date": self.date, "is_trial": self.is_trial, "machine": dict(self.machine)}
        content |= {"sizes": asdict(self.sizes), "ratios": ratios, "turns": [asdict(turn) for turn in self.turns]}
        return json.dumps(content, indent=1) + "\n"

    def _costs(self) -> str:
        rows = [
            f"| {label} | {self.of(key, lambda turn: turn.us).shown()} |"
            f" {self.of(key, lambda turn: turn.database_us).median:,.0f} |"
            f" {self.of(key, lambda turn: turn.per_second).shown()} |"
            f" {self.of(key, lambda turn: 100 * turn.activity_writes / turn.requests).median:.1f} % |\n"
            for key, label in self.labels.items()
        ]
        head = "| | µs a request | of these PostgreSQL | requests a second | wrote activity |\n|---|---|---|---|---|\n"
        return head + "".join(rows)

    def _ratios(self) -> str:
        rows = [
            f"| {target.words} | {target.asked} | {ratio.shown(2)} | {_YES_NO[target.is_met(ratio.median)]} |\n"
            for target, ratio in ((target, self.ratio(target)) for target in TARGETS)
        ]
        return "| ratio of costs | asked | measured | met |\n|---|---|---|---|\n" + "".join(rows)

    def _rounds(self) -> list[int]:
        return sorted({turn.round for turn in self.turns})
