"""What the benchmarks stand on is right; how fast anything is, no test judges."""

import subprocess
import sys

import pytest

from benchmarks.load import Sent
from benchmarks.measure import Turn
from benchmarks.memory import Memory
from benchmarks.node.express import cookie_of
from benchmarks.plan import QUICK
from benchmarks.processor import family, seconds_of
from benchmarks.report import Report
from benchmarks.results import Results
from benchmarks.seed import Bearer
from benchmarks.targets import TARGETS

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

    assert [*family(process.pid)] == [process.pid]  # as for a child that ends while its family is listed
    with pytest.raises(ProcessLookupError):
        seconds_of(process.pid)


def turn(number: int, subject: str, us: float) -> Turn:
    return Turn(number, subject, 1000, 500, server_us=us, database_us=us / 4, p50_ms=20, p99_ms=90, activity_writes=30)


KEYS = (
    *("wsgi", "bare", "validate", "my-sessions", "create", "feed", "node-session"),
    *("alternative-current", "alternative-my-sessions", "alternative-create"),
    *("validate-small", "validate-large", "my-sessions-small", "my-sessions-large"),
)


def report_of(turns: list[Turn]) -> Report:
    memory = [Memory("service", "this service", (50_000_000, 40_000_000), 30_000_000)]
    labels = {key: key for key in KEYS}
    return Report(Results(turns, memory), labels, QUICK, "2026-11-21", {"processor": "of a test"})


def test_ratios_compare_what_was_measured_in_one_round() -> None:
    # The machine got ten times slower in the second round, and the third was an odd one.
    costs = {0: 8.0, 1: 80.0, 2: 8.0}
    turns = [turn(number, key, us) for key in KEYS for number, us in costs.items()]
    turns = [
        turn(one.round, one.subject, one.server_us * (2 if one.round < 2 else 5)) if one.subject == "validate" else one
        for one in turns
    ]

    report = report_of(turns)

    ratio = report.results.ratio("validate", "bare")
    assert (ratio.median, ratio.least, ratio.most) == (2, 2, 5)
    shown = report.markdown()
    assert "| validate | 50 (20 to 200) | 40 (16 to 160) | 10 (4 to 40) | 20 % | 3.0 % |" in shown
    assert "| `validate`, in bare Flask views | at most 1.9, aim 1.5 | 2.00 (2.00 to 5.00) | no |" in shown
    assert "| validate | 20.0 | 90.0 | 500 |" in shown
    assert "| this service | 50 and 40 | 90 | 30 |" in shown
    assert "| memory of the service's two workers, MB | at most 125 | 90 | yes |" in shown
    assert "| the Node server's session, in `validate`s |  | 0.50 (0.20 to 0.50) |  |" in shown


@pytest.mark.parametrize(
    ("words", "us", "met"),
    [
        ("PostgreSQL's share of a `create`, µs (half of 1,017)", 508 * 4, "yes"),
        ("PostgreSQL's share of a `create`, µs (half of 1,017)", 509 * 4, "no"),
        ("the alternative's sign-in, in `create`s", 100, "yes"),
        ("the alternative's sign-in, in `create`s", 101, "no"),
    ],
)
def test_a_target_is_met_at_its_boundary(words: str, us: float, met: str) -> None:
    turns = [turn(0, key, us if key == "create" else 400) for key in KEYS]
    (target,) = [one for one in TARGETS if one.words == words]

    assert target.met(report_of(turns).results) == met


def test_a_latency_is_that_of_the_nearest_rank() -> None:
    sent = Sent([number / 100 for number in range(1, 101)], seconds=1)

    assert (sent.latency(0.5), sent.latency(0.99), sent.latency(1)) == (0.5, 0.99, 1)
    assert Sent([7.0], seconds=8).latency(0.01) == 7


def test_a_cookie_is_signed_as_express_does_it() -> None:
    # From cookie-signature 1.2.2: sign("8247…", "a secret").
    bearer = Bearer(user_id=1, session_id=74, user_agent="any", token="any")

    assert (
        cookie_of(bearer, "a secret")
        == "connect.sid=s%3A8247035e9ba23876d793302552481fc4.DH%2Bp3A7XkKUJV9jfVeNIzknm%2BLY%2FqDkcjCuXTSD99NA"
    )
