"""The files for monitoring and the runbook, read."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from session_service import metrics
from tests.harness.paths import PROJECT

ROOT = PROJECT
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS_TEST = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "session-service.json"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()

BY_PROMETHEUS = {"job", "instance"}
"""Labels that every series gets when it is scraped."""

SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of every metric by its name.

    What ends in `_seconds` is a histogram, unless it is an instant or a delay.
    """
    ours = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    own = {f"{one._name}{'_total' if isinstance(one, Counter) else ''}": set(one._labelnames) for one in ours}
    return own | {
        "session_service_purge_last_run_timestamp_seconds": set(),
        "session_service_purge_runs_total": set(),
        "session_service_purged_total": {"what"},
        "session_service_feed_behind_seconds": set(),
        "session_service_webhook_behind_seconds": {"endpoint"},
        "session_service_webhook_parked": {"endpoint"},
        "session_service_webhook_deliveries_total": {"endpoint", "outcome"},
        "session_service_command_sessions_ended_total": {"reason"},
    }


def known_series() -> dict[str, set[str]]:
    """Return the labels of every series by its name: a histogram has three."""
    series = {"up": BY_PROMETHEUS}
    for name, labels in known_metrics().items():
        if name.endswith("_seconds") and not name.endswith(("_timestamp_seconds", "_behind_seconds")):
            series |= {f"{name}_{part}": labels | BY_PROMETHEUS for part in ("count", "sum")}
            series[f"{name}_bucket"] = labels | BY_PROMETHEUS | {"le"}
        else:
            series[name] = labels | BY_PROMETHEUS
    return series


def section(title: str) -> str:
    """Return a section of the runbook, up to the next one of its rank."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## )", RUNBOOK, re.M | re.S)
    assert found, title
    return found[1]


def documented_metrics() -> dict[str, dict[str, set[str]]]:
    """Return the table of metrics: by name the labels, each with the values that are listed."""
    return {
        name: {
            label: set(re.findall(r"`(\w+)`", values))
            for label, values in re.findall(r"`(\w+)`(?:: ((?:`\w+`,? ?)+))?", labels)
        }
        for name, labels in re.findall(r"^\| `(session_service_\w+)` \| (.*?) \|", section("Metrics"), re.M)
    }


def alerts() -> dict[str, dict[str, Any]]:
    """Return the rules of the alerts by name."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels, without the headings of its rows."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where an expression stands, and the expression."""
    for name, rule in alerts().items():
        yield name, rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def series_in(expression: str) -> set[str]:
    """Return the names of the series in an expression."""
    return set(re.findall(r"\bsession_service_\w+|\bup\b", expression))
