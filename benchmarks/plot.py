"""The plot of a report: a bar for each subject, and a mark for each round."""

from pathlib import Path

import matplotlib

from benchmarks.report import Report

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SERVER, _DATABASE, _ROUND = "#4477aa", "#99bbdd", "#222222"


def draw(report: Report, file: Path) -> None:
    """Draw *report* into an SVG file."""
    keys = list(report.labels)
    figure, axes = pyplot.subplots(figsize=(10, 0.45 * len(keys) + 1.5), layout="constrained")
    server = [report.results.of(key, lambda turn: turn.server_us).median for key in keys]
    database = [report.results.of(key, lambda turn: turn.database_us).median for key in keys]
    axes.barh(keys, server, color=_SERVER, label="server")
    axes.barh(keys, database, left=server, color=_DATABASE, label="PostgreSQL")
    axes.plot(
        [turn.us for turn in report.results.turns],
        [turn.subject for turn in report.results.turns],
        linestyle="",
        marker="|",
        color=_ROUND,
        label="one round, both",
    )
    axes.set_yticks(range(len(keys)), [report.labels[key].replace("`", "") for key in keys])
    axes.invert_yaxis()
    axes.set_xlabel("processor time per request, µs")
    trial = " (a trial)" if report.is_trial else ""
    save(figure, axes, f"{report.date}{trial}, {report.machine['processor']}", file)


def save(figure: Figure, axes: Axes, title: str, file: Path) -> None:
    """Give a plot its title and its legend, and write it into an SVG file."""
    axes.set_title(title, loc="left", fontsize="medium")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
