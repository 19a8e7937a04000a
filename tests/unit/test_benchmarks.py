"""What the benchmarks stand on is right; how fast anything is, no test judges."""

import subprocess
import sys

import pytest

from benchmarks.measure import Turn
from benchmarks.plan import QUICK, TARGETS
from benchmarks.processor import seconds_of
from benchmarks.report import Report

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"

PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}])
alive = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(flush=True)\\ninput()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
alive.stdout.readline()
print(flush=True)
input()
alive.communicate(b"\\n")
print(flush=True)
input()
"""


def test_processes_that_were_started_count_while_they_live_and_after() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdout.readline()
        with_living = seconds_of(parent.pid)
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        parent.stdout.readline()
        with_ended = seconds_of(parent.pid)
        parent.communicate(b"\n")

    # Two processes burnt 0.3 s each; the kernel counts in ticks.
    assert 0.55 < with_living <= with_ended


def test_an_unknown_process_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    with pytest.raises(ProcessLookupError):
        seconds_of(process.pid)


def turn(number: int, subject: str, us: float) -> Turn:
    return Turn(number, subject, requests=1000, per_second=500, server_us=us, database_us=0, activity_writes=30)


def test_ratios_compare_what_was_measured_in_one_round() -> None:
    keys = {key for target in TARGETS for key in (target.dearer, target.cheaper)}
    # The machine got ten times slower in the second round, and the third was an odd one.
    costs = {0: 10.0, 1: 100.0, 2: 10.0}
    turns = [turn(number, key, us) for key in sorted(keys) for number, us in costs.items()]
    turns = [
        turn(one.round, one.subject, one.us * (2 if one.round < 2 else 5)) if one.subject == "validate" else one
        for one in turns
    ]

    report = Report(turns, {key: key for key in sorted(keys)}, QUICK, "2026-11-21", {"processor": "of a test"})

    ratio = report.ratio(TARGETS[0])
    assert (ratio.median, ratio.least, ratio.most) == (2, 2, 5)
    assert "| validate | 50 (20 to 200) | 0 | 500 (500 to 500) | 3.0 % |" in report.markdown()
    assert "| `validate`, in bare views | at most 1.9 | 2.00 (2.00 to 5.00) | no |" in report.markdown()
