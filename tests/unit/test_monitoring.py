"""The dashboard, the alerts and the runbook: they speak of what is measured, and the alerts fire when they should.

The rules are run by Prometheus' own `promtool`. Grafana itself is not: of the dashboard, what it asks for is checked.
"""

import json
import re
from pathlib import Path

from session_service.app import create_app
from session_service.views.problems import STATUS
from tests.harness.monitoring import (
    BY_PROMETHEUS,
    DASHBOARD,
    RUNBOOK,
    alerts,
    documented_metrics,
    expressions,
    known_metrics,
    known_series,
    panels,
    section,
    series_in,
)
from tests.harness.support import settings


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
