"""`python -m benchmarks.churn`: fill a database, run the sign-ins, compare the database with a fresh one."""

import argparse
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random

from benchmarks.churn import compare, rows
from benchmarks.churn.load import Job, run_purge, run_users
from benchmarks.churn.plan import FULL, POSTGRES_SETTINGS, QUICK, Churn, smaller
from benchmarks.churn.plot import draw
from benchmarks.churn.report import Report, Result
from benchmarks.churn.tables import snapshot, wait_for_autovacuum
from benchmarks.machine import describe_machine, short_name
from benchmarks.servers import Postgres, postgres
from benchmarks.stage import say

RESULTS = Path(__file__).resolve().parent.parent / "results"
_SPAWN = get_context("spawn")
_SEED = 74


def main() -> None:
    """Run it, and write the table and the figures."""
    parser = argparse.ArgumentParser(prog="make bench-churn", description="Measure what sign-ins leave behind.")
    parser.add_argument("--quick", action="store_true", help="a trial of a minute; its figures are meaningless")
    parser.add_argument(
        "--users", type=int, help="how many users there are, for a shorter run; sign-ins are ten times as many"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the table and the plot")
    arguments = parser.parse_args()
    churn = QUICK if arguments.quick else FULL
    if arguments.users:
        churn = smaller(churn, arguments.users)
    with postgres({**POSTGRES_SETTINGS, "autovacuum_naptime": churn.naptime}) as database:
        result = run(database, churn)
        machine = describe_machine({"PostgreSQL": database.version()})
    report = Report(result, churn, datetime.now(UTC).date().isoformat(), machine, is_trial=churn != FULL)
    print("\n" + report.markdown())
    arguments.results.mkdir(exist_ok=True)
    path = arguments.results / f"{report.date}-churn-{short_name()}{'-trial' if report.is_trial else ''}"
    path.with_suffix(".md").write_text(report.markdown(), encoding="utf-8")
    path.with_suffix(".json").write_text(report.json(), encoding="utf-8")
    draw(report, path.with_suffix(".svg"))
    say(f"written: {path}.md, .json and .svg")


def run(database: Postgres, churn: Churn) -> Result:
    """Run the sign-ins on one database, fill the other, and compare both."""
    secret, random = secrets.token_hex(32), Random(_SEED)
    began_at = datetime.now(UTC) - timedelta(days=churn.days)
    churned, fresh = (Job(database.new_database(name), secret, churn, began_at) for name in ("churned", "fresh"))
    say(f"seeding {churn.before.rows:,} sessions of {churn.users:,} users")
    rows.fill(churned.url, secret, churn.before)
    days = [snapshot(churned.url)]
    for number, minutes in enumerate(_days(churned), 1):
        days.append(snapshot(churned.url))
        say(f"day {number} of {churn.days}: {churn.users:,} sign-ins in {minutes:.1f} minutes")
    say("waiting for autovacuum")
    wait_for_autovacuum(churned.url)
    days.append(snapshot(churned.url))
    database.set({"autovacuum": "off", "checkpoint_timeout": "1h"})
    say("seeding the fresh database")
    rows.fill(fresh.url, secret, churn.fresh)
    new = snapshot(fresh.url)
    say("writing activity")
    hot = {
        name: compare.write_activity(job, random) for name, job in ((compare.FRESH, fresh), (compare.CHURNED, churned))
    }
    turns = []
    for turn in compare.costs(database, fresh, churned, random):
        turns.append(turn)
        say(f"round {turn.round + 1} of {churn.turns.rounds}: {turn.subject:20} {turn.us:7.0f} µs")
    return Result(new, days, hot, turns)


def _days(job: Job) -> Iterator[float]:
    """Run all days; yield after each how many minutes it took. Nothing runs while the caller has the turn.

    A day's purge runs beside the next day's sign-ins, that of the last day after them. The next day begins when both
    have come to an end.

    Raises:
        RuntimeError: a process failed.
    """
    done, begun = _SPAWN.Value("q", 0), [_SPAWN.Event() for _ in range(job.churn.days)]
    arguments = [(job, number, done, begun) for number in range(job.churn.processes)]
    users = [_started(run_users, *some) for some in arguments]
    for day in range(job.churn.days):
        began_at = datetime.now(UTC)
        begun[day].set()
        purge = _started(run_purge, job, day)
        _wait(users, done, (day + 1) * job.churn.users)
        _finish(purge)
        if day == job.churn.days - 1:
            for process in [*users, _started(run_purge, job, job.churn.days)]:
                _finish(process)
        yield (datetime.now(UTC) - began_at) / timedelta(minutes=1)


def _started(run: Callable[..., None], *arguments: object) -> BaseProcess:
    process = _SPAWN.Process(target=run, args=arguments, daemon=True)
    process.start()
    return process


def _wait(users: Sequence[BaseProcess], done: "Synchronized[int]", number: int) -> None:
    while done.value < number:
        for process in users:
            process.join(0.1)
            if process.exitcode:
                raise RuntimeError(f"a process of the load ended with {process.exitcode}")


def _finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{process.name} ended with {process.exitcode}")


if __name__ == "__main__":
    main()
