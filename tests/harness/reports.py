"""A pytest plugin: shows measured figures and missing programs at the end of the run, also of xdist's workers."""

import os
import shutil
from collections.abc import Generator

import pytest

NEEDED = {
    "nginx": "apt-get install nginx-light",
    "chromium": "apt-get install chromium",
    "curl": "apt-get install curl",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "systemd-analyze": "apt-get install systemd",
    # Installing Debian's package would start a Prometheus; unpacking it does not.
    "promtool": "apt-get download prometheus && dpkg -x prometheus_*.deb ~/prom && PATH=$PATH:~/prom/usr/bin",
}
"""Programs that some tests need, with the commands that install them."""

_noted: list[tuple[str, str]] = []
"""Properties for the report of the running test: kind ("measured" or "missing") and text."""

_measured: list[str] = []
_missing: set[str] = set()
"""Collected from all reports, in the process that prints the summary."""


def note(text: str) -> None:
    """Print *text* at the end of the run, after the name of the running test. No test depends on it."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].rpartition(" (")[0]
    _noted.append(("measured", f"{test}: {text}"))


def require_tool(name: str) -> str:
    """Return the path of a program. If it is not installed, skip the test and list the program in the summary."""
    path = shutil.which(name)
    if path is None:
        _noted.append(("missing", name))
        pytest.skip(f"{name} is not installed: {NEEDED[name]}")
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach what was noted to the test's report: xdist sends reports to the process that prints the summary."""
    report = yield
    report.user_properties += _noted
    _noted.clear()
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what was noted."""
    for kind, text in report.user_properties:
        if kind == "measured":
            _measured.append(str(text))
        elif kind == "missing":
            _missing.add(str(text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and which programs were missing."""
    if _measured:
        terminalreporter.section("measured")
        for text in _measured:
            terminalreporter.line(text)
    if _missing:
        terminalreporter.section("NOT RUN, because a program is missing")
        for name in sorted(_missing):
            terminalreporter.line(f"tests with {name}: install it with '{NEEDED[name]}'")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `REQUIRE_ALL_TESTS=1`, make the run fail if a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # xdist's workers have none
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("REQUIRE_ALL_TESTS") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
