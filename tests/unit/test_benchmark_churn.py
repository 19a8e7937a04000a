"""What the report of the churn says is what was measured."""

from dataclasses import replace

from benchmarks.churn.compare import CHURNED, FRESH, REQUESTS, HotShare
from benchmarks.churn.plan import QUICK as CHURN
from benchmarks.churn.report import MIB, Result
from benchmarks.churn.report import Report as ChurnReport
from benchmarks.churn.tables import TABLES, Snapshot, Table
from benchmarks.measure import Turn


def snapshot(rows: int, size: int) -> Snapshot:
    tables = {name: Table(rows, dead=30, bytes=size, updates=30, hot_updates=9, autovacuums=1) for name in TABLES}
    return Snapshot(tables, {"pk_sessions": size})


def test_the_report_of_the_churn_compares_within_rounds_and_counts_only_activity_as_hot() -> None:
    churn = replace(CHURN, users=2, days=10)  # 20 sign-ins, each of which records an end
    turns = [
        Turn(number, f"{path}-{name}", 1000, 500, us, us / 4, p50_ms=20, p99_ms=90, activity_writes=30)
        for path in REQUESTS
        for number in range(churn.turns.rounds)
        for name, us in ((FRESH, 8.0), (CHURNED, 10.0))
    ]
    days = [snapshot(20, MIB), snapshot(20, 2 * MIB), snapshot(20, 3 * MIB)]
    result = Result(snapshot(20, 2 * MIB), days, {FRESH: HotShare(10, 10), CHURNED: HotShare(10, 5)}, turns)

    shown = ChurnReport(result, churn, "2026-11-21", {"processor": "of a test"}).markdown()

    assert "| cost of `validate` | 10 | 12 | 1.25 | no |" in shown
    assert "| size of table `sessions` | 2.0 | 3.0 | 1.50 | no |" in shown
    assert "| HOT share of 10 activity writes | 100.0 % | 50.0 % | | |" in shown
    assert "| HOT share of the activity writes while sessions were created | | 90.0 % | | |" in shown
    assert "| day 1 | 20 | 120 | 8 | 2 | 4 |" in shown
