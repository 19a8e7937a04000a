"""The plot of a report: the sizes of tables and indexes day by day, and those of the fresh database."""

from pathlib import Path

from matplotlib import pyplot

from benchmarks.churn.report import MIB, Report
from benchmarks.plot import save

_TABLES, _INDEXES = "#4477aa", "#99bbdd"


def draw(report: Report, file: Path) -> None:
    """Draw *report* into an SVG file."""
    days, fresh = report.result.days[:-1], report.result.fresh
    figure, axes = pyplot.subplots(figsize=(10, 4), layout="constrained")
    for label, color, sizes, size in (
        ("tables", _TABLES, [day.table_bytes / MIB for day in days], fresh.table_bytes / MIB),
        ("indexes", _INDEXES, [day.index_bytes / MIB for day in days], fresh.index_bytes / MIB),
    ):
        axes.plot(range(len(days)), sizes, marker="o", color=color, label=label)
        axes.axhline(size, color=color, linestyle=":", label=f"{label} of a fresh database")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("days")
    axes.set_ylabel("MiB")
    trial = " (a trial)" if report.is_trial else ""
    save(figure, axes, f"{report.date}{trial}, {report.churn.sign_ins:,} sign-ins", file)
