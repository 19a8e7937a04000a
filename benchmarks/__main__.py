"""`python -m benchmarks`: fill the databases, start the servers, warm up, measure in turns, write the results."""

import argparse
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe_machine, short_name
from benchmarks.measure import Turn, rounds, warm_up
from benchmarks.memory import memory_of
from benchmarks.node.express import version
from benchmarks.plan import FULL, QUICK, Sizes, Subject
from benchmarks.plot import draw
from benchmarks.report import Report
from benchmarks.results import Results
from benchmarks.servers import Postgres, postgres
from benchmarks.stage import Stage, say

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Measure, and write the table and the plot."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure what requests cost.")
    parser.add_argument("--quick", action="store_true", help="a trial of one minute; its figures are meaningless")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the table and the plot")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    say("starting PostgreSQL")
    with postgres() as database:
        stage = Stage(database, sizes)
        with ExitStack() as running:
            subjects = stage.start(running)
            turns = measure(subjects, sizes, database)
        memory = []
        for alone in stage.alone(subjects):
            memory.append(memory_of(alone, sizes.memory_seconds))
            say(f"memory of {alone.label}: {memory[-1].all_workers / 1e6:.0f} MB")
        machine = describe_machine({"PostgreSQL": database.version(), "Node": version()})
    labels = {subject.key: subject.label for subject in subjects}
    date = datetime.now(UTC).date().isoformat()
    report = Report(Results(turns, memory), labels, sizes, date, machine, is_trial=arguments.quick)
    print("\n" + report.markdown())
    say(f"written: {save(report, arguments.results)}.md, .json and .svg")


def save(report: Report, folder: Path) -> Path:
    """Write the table, the figures and the plot of *report*; return their common path without suffix."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{report.date}-{short_name()}{'-trial' if report.is_trial else ''}"
    path.with_suffix(".md").write_text(report.markdown(), encoding="utf-8")
    path.with_suffix(".json").write_text(report.json(), encoding="utf-8")
    draw(report, path.with_suffix(".svg"))
    return path


def measure(subjects: list[Subject], sizes: Sizes, database: Postgres) -> list[Turn]:
    """Warm up all subjects, then measure them in turns; print the progress."""
    for label in warm_up(subjects, sizes.turns.warm_up):
        say(f"warmed up: {label}")
    turns: list[Turn] = []
    for turn in rounds(subjects, sizes.turns, database.pid):
        turns.append(turn)
        figures = f"{turn.us:7.0f} µs {turn.per_second:6.0f} /s {turn.p99_ms:7.1f} ms"
        say(f"round {turn.round + 1} of {sizes.turns.rounds}: {turn.subject:29} {figures}")
    return turns


if __name__ == "__main__":
    main()
