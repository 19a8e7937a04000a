"""The alerts in Prometheus' own `promtool`: they fire when they should, and with other limits they would not."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.monitoring import ALERTS, ALERTS_TEST, SECONDS, alerts, panels, section
from tests.harness.reports import require_tool


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
