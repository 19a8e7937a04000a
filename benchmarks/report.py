"""Turns the results into tables and JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from benchmarks.memory import Memory
from benchmarks.plan import Sizes
from benchmarks.results import Results
from benchmarks.targets import TARGETS

TRIAL = "**A trial run: smaller tables or shorter turns, so its figures are of no worth.**\n\n"


@dataclass(frozen=True)
class Report:
    """The results of a run, and the machine that it ran on."""

    results: Results
    labels: Mapping[str, str]
    """The label of each subject by its key, in the order of the table."""
    sizes: Sizes
    date: str
    machine: Mapping[str, str]
    is_trial: bool = False

    def markdown(self) -> str:
        """Return the tables, and the description of the machine."""
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        sizes, turns = self.sizes, self.sizes.turns
        return (
            f"# What requests cost, {self.date}\n\n{TRIAL if self.is_trial else ''}"
            f"The median of {turns.rounds} rounds of {turns.seconds:g} s each, and in parentheses the least and the"
            f" most. {sizes.users.rows:,} sessions of {sizes.users.users:,} users, of whom {sizes.hot:,} are active."
            f" [How to read this](../README.md).\n\n"
            f"## Targets\n\n{self._targets()}\n"
            f"## Processor time per request, in microseconds\n\n{self._costs()}\n"
            f"## Latency with 16 connections, in milliseconds\n\n{self._latencies()}\n"
            f"## Memory under load, in MB of PSS\n\n{self._memory()}\n"
            f"## The machine\n\n{machine}\n"
        )

    def json(self) -> str:
        """Return all turns, the memory, the sizes, the machine and the targets."""
        targets = {
            one.words: {"asked": one.asked, **asdict(one.measured(self.results)), "met": one.met(self.results)}
            for one in TARGETS
        }
        content = {"date": self.date, "is_trial": self.is_trial, "machine": dict(self.machine)}
        content |= {"sizes": asdict(self.sizes), "targets": targets}
        content |= {"memory": [asdict(one) for one in self.results.memory]}
        content |= {"turns": [asdict(turn) for turn in self.results.turns]}
        return json.dumps(content, indent=1) + "\n"

    def _targets(self) -> str:
        results = self.results
        rows = [
            f"| {one.words} | {one.asked} | {one.measured(results).shown(one.digits)} | {one.met(results)} |\n"
            for one in TARGETS
        ]
        return "| | target | measured | met |\n|---|---|---|---|\n" + "".join(rows)

    def _costs(self) -> str:
        of = self.results.of
        rows = [
            f"| {label} | {of(key, lambda turn: turn.us).shown()} | {of(key, lambda turn: turn.server_us).shown()} |"
            f" {of(key, lambda turn: turn.database_us).shown()} |"
            f" {of(key, lambda turn: 100 * turn.database_us / turn.us).median:.0f} % | {self._writes(key)} |\n"
            for key, label in self.labels.items()
        ]
        head = (
            "| | both | server | PostgreSQL | PostgreSQL's share | wrote activity |\n" + "|---|---|---|---|---|---|\n"
        )
        return head + "".join(rows)

    def _writes(self, key: str) -> str:
        turns = [turn for turn in self.results.turns if turn.subject == key]
        if any(turn.activity_writes is None for turn in turns):
            return ""
        return f"{self.results.of(key, lambda turn: 100 * (turn.activity_writes or 0) / turn.requests).median:.1f} %"

    def _latencies(self) -> str:
        of = self.results.of
        rows = [
            f"| {label} | {of(key, lambda turn: turn.p50_ms).shown(1)} | {of(key, lambda turn: turn.p99_ms).shown(1)} |"
            f" {of(key, lambda turn: turn.per_second).shown()} |\n"
            for key, label in self.labels.items()
        ]
        return "| | p50 | p99 | requests a second |\n|---|---|---|---|\n" + "".join(rows)

    def _memory(self) -> str:
        head = "| | each worker | all workers | the process that started them |\n|---|---|---|---|\n"
        return head + "".join(map(_memory_row, self.results.memory))


def _memory_row(memory: Memory) -> str:
    each = " and ".join(f"{one / 1e6:,.0f}" for one in memory.workers)
    return f"| {memory.label} | {each} | {memory.all_workers / 1e6:,.0f} | {memory.others / 1e6:,.0f} |\n"
