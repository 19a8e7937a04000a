"""The dashboard, the alerts and the runbook: they speak of what is measured, and the alerts fire when they should.

The rules are run by Prometheus' own `promtool`. Grafana itself is not: of the dashboard, what it asks for is checked.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from sqlalchemy import text

from session_service import metrics
from session_service.app import create_app
from session_service.database.engine import db
from session_service.views.problems import STATUS
from tests.harness.paths import PROJECT
from tests.harness.reports import require_tool
from tests.harness.support import SignIn, settings

ROOT = PROJECT
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS_TEST = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "session-service.json"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()

BY_PROMETHEUS = {"job", "instance"}
"""Labels that every series gets when it is scraped."""

SECONDS = {"m": 60, "h": 3_600, "d": 86_400}


def known_metrics() -> dict[str, set[str]]:
    """Return the labels of every metric by its name; what ends in `_seconds` and is no timestamp is a histogram."""
    ours = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    own = {f"{one._name}{'_total' if isinstance(one, Counter) else ''}": set(one._labelnames) for one in ours}
    return own | {
        "session_service_purge_last_run_timestamp_seconds": set(),
        "session_service_purge_runs_total": set(),
        "session_service_purged_total": {"what"},
        "session_service_command_sessions_ended_total": {"reason"},
    }


def known_series() -> dict[str, set[str]]:
    """Return the labels of every series by its name: a histogram has three."""
    series = {"up": BY_PROMETHEUS}
    for name, labels in known_metrics().items():
        if name.endswith("_seconds") and not name.endswith("_timestamp_seconds"):
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


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' tool for its files."""
    command = [require_tool("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_rule(folder: Path, rule: dict[str, Any]) -> bool:
    """Return whether one rule passes those tests in `alerts_test.yml` that are about its alert."""
    name, tests = rule["alert"], yaml.safe_load(ALERTS_TEST.read_text())
    for test in tests["tests"]:
        test["alert_rule_test"] = [one for one in test["alert_rule_test"] if one["alertname"] == name]
    tests["tests"] = [test for test in tests["tests"] if test["alert_rule_test"]]
    (folder / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    (folder / "tests.yml").write_text(yaml.safe_dump(tests))
    assert promtool("check", "rules", folder / "alerts.yml").returncode == 0
    return promtool("test", "rules", folder / "tests.yml").returncode == 0


def wrong(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rule with each of its limits, and its patience, halved and doubled."""
    for factor in (0.5, 2):
        for limit in re.finditer(r"(?<=> )[\d.]+", rule["expr"]):
            if float(limit[0]):
                changed = f"{rule['expr'][: limit.start()]}{float(limit[0]) * factor:g}{rule['expr'][limit.end() :]}"
                yield {**rule, "expr": changed}
        seconds = int(rule["for"][:-1]) * SECONDS[rule["for"][-1]]
        yield {**rule, "for": f"{seconds * factor:.0f}s"}


def test_dashboard_and_alerts_ask_for_series_and_labels_that_exist() -> None:
    known = known_series()

    for where, expression in expressions():
        assert series_in(expression) <= known.keys(), where
        for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
            assert set(re.findall(r'(\w+)(?:=|!=|=~|!~)"', matchers)) <= known[name], (where, name)
        labels = set().union(*(known[name] for name in series_in(expression)))
        for grouping in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert set(grouping.split(", ")) <= labels, where


def test_what_dashboard_and_alerts_select_is_something_that_happens(tmp_path: Path) -> None:
    app, documented = create_app(settings(DATABASE_URL=f"sqlite:///{tmp_path}/never-opened")), documented_metrics()
    routes = {rule.rule for rule in app.url_map.iter_rules()}

    for where, expression in expressions():
        for name, matchers in re.findall(r"(session_service_\w+)\{([^}]*)\}", expression):
            for label, values in re.findall(r'(\w+)(?:=|!=|=~|!~)"([^"]*)"', matchers):
                if label == "route":
                    assert set(values.split("|")) <= routes, where
                elif label not in BY_PROMETHEUS | {"status"}:
                    assert set(values.split("|")) <= documented[name][label], where


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set().union(*(series_in(target["expr"]) for panel in panels() for target in panel["targets"]))

    for name in known_metrics():
        assert {name, f"{name}_bucket", f"{name}_count"} & shown, name


def test_every_metric_is_documented_with_its_labels() -> None:
    assert {name: set(labels) for name, labels in documented_metrics().items()} == known_metrics()


def test_the_dashboard_can_be_imported_anywhere_and_its_panels_have_a_place_of_their_own() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]

    assert (variables, dashboard.get("id")) == (["datasource", "job"], None)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    taken = set[tuple[int, int]]()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        for target in panel["targets"]:
            assert target["expr"].count('job="$job"') == len(re.findall(r"\bsession_service_|\bup\{", target["expr"]))
            grouped = ", ".join(re.findall(r"\bby \(([^)]*)\)", target["expr"])).split(", ")
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set(grouped), panel["title"]


def test_every_alert_has_its_entry_in_the_runbook_and_every_entry_its_alert() -> None:
    headings = re.findall(r"^### (.+)$", section("Alerts"), re.M)

    assert sorted(headings) == sorted(alerts())
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}, name


def test_every_error_code_is_in_the_runbook() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", section("Error codes"), re.M)

    assert sorted(code for code, _ in rows) == sorted({kind.code for kind in STATUS})
    answered = {(code, int(status)) for code, statuses in rows for status in statuses.split(",")}
    assert answered == {(kind.code, status) for kind, status in STATUS.items()}


def test_links_within_the_runbook_lead_to_a_heading_of_it() -> None:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", RUNBOOK, flags=re.S), re.M)
    anchors = {heading.lower().replace(" ", "-").replace("'", "") for heading in headings}

    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= anchors


def test_the_query_of_the_runbook_shows_whose_sessions_are_the_newest(app: Flask, sign_in: SignIn) -> None:
    for user_id in (74, 75, 74):
        sign_in(user_id=user_id)
    (query,) = re.findall(r"```sql\n(.*?)```", section("Alerts"), re.S)

    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(text(query)).all() == [("74", 2), ("75", 1)]


def test_prometheus_understands_the_alerts_the_dashboard_and_the_documented_scrape(tmp_path: Path) -> None:
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels() for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    dashboard, broken, scrape = tmp_path / "dashboard.yml", tmp_path / "broken.yml", tmp_path / "prometheus.yml"
    dashboard.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    broken.write_text(ALERTS.read_text().replace("sum by (job) (", "sum by (job) ((", 1))
    (example,) = re.findall(r"```yaml\n(.*?)```", section("Metrics"), re.S)
    scrape.write_text(example)
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())

    for command, file in [("rules", ALERTS), ("rules", dashboard), ("config", scrape)]:
        checked = promtool("check", command, file)
        assert checked.returncode == 0, checked.stderr
    assert yaml.safe_load(example)["scrape_configs"][0]["job_name"] == "session-service"
    assert "unclosed left parenthesis" in promtool("check", "rules", broken).stderr


def test_alerts_fire_when_they_should_with_words_for_people_and_else_do_not() -> None:
    ran = promtool("test", "rules", ALERTS_TEST)

    assert (ran.returncode, ran.stderr.strip()) == (0, ""), ran.stdout + ran.stderr
    expected: dict[str, set[bool]] = {name: set() for name in alerts()}
    for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"]:
        for one in test["alert_rule_test"]:
            expected[one["alertname"]].add(bool(one["exp_alerts"]))
    assert expected == {name: {True, False} for name in alerts()}


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_with_another_limit_or_patience_fails_its_tests(name: str, tmp_path: Path) -> None:
    rule = alerts()[name]

    assert run_rule(tmp_path, rule)
    for changed in wrong(rule):
        assert not run_rule(tmp_path, changed), changed
