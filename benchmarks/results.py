"""The figures of a run: medians and ranges over the rounds, and ratios within each round."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import Turn
from benchmarks.memory import Memory


@dataclass(frozen=True)
class Figure:
    """The median, the minimum and the maximum over the rounds."""

    median: float
    least: float
    most: float

    def shown(self, digits: int = 0) -> str:
        """Return the three as text; only one if all are the same."""
        middle = f"{self.median:,.{digits}f}"
        is_one = self.least == self.most
        return middle if is_one else f"{middle} ({self.least:,.{digits}f} to {self.most:,.{digits}f})"


def figure(values: Iterable[float]) -> Figure:
    """Return the figure for *values*, one for each round."""
    values = list(values)
    return Figure(median(values), min(values), max(values))


@dataclass(frozen=True)
class Results:
    """All turns, and the memory of the servers."""

    turns: Sequence[Turn]
    memory: Sequence[Memory]

    def of(self, subject: str, value: Callable[[Turn], float]) -> Figure:
        """Return the figure of *value* over the turns of *subject*."""
        return figure(value(turn) for turn in self.turns if turn.subject == subject)

    def ratio(self, dearer: str, cheaper: str) -> Figure:
        """Return the ratio of two subjects' costs, computed within each round."""
        us = {(turn.round, turn.subject): turn.us for turn in self.turns}
        rounds = sorted({turn.round for turn in self.turns})
        return figure(us[number, dearer] / us[number, cheaper] for number in rounds)

    def megabytes(self, server: str) -> Figure:
        """Return the memory of a server's workers together."""
        return figure(one.all_workers / 1e6 for one in self.memory if one.key == server)
