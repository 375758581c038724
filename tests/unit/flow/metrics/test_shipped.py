"""The dashboard, the alerts and the reference name what there is, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from dicomnode.flow.metrics.families import FAMILIES, reference
from dicomnode.flow.metrics.reasons import REASONS
from dicomnode.flow.metrics.tally import REJECTIONS

ROOT = Path(__file__).resolve().parents[4]
DASHBOARD = ROOT / "config" / "grafana-dashboard.json"
ALERTS = ROOT / "config" / "prometheus-alerts.yml"

#: What each family is called in an expression.
SERIES = {
    name: family
    for family in FAMILIES
    for name in (
        [f"{family.name}_{end}" for end in ("bucket", "sum", "count")] if family.kind == "histogram" else [family.name]
    )
}

#: Labels that Prometheus adds itself.
ADDED = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


@pytest.fixture(scope="module")
def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def expressions(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (target["expr"], target["legendFormat"])
        for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]  # fmt: skip


def named(expression: str) -> set[str]:
    return set(re.findall(r"dicomnode_\w+", expression))


def test_every_name_in_the_dashboard_is_a_metric_and_every_metric_is_in_it(dashboard: dict[str, Any]) -> None:
    used = set().union(*(named(expression) for expression, _ in expressions(dashboard)))
    assert used <= set(SERIES)
    assert {SERIES[name].name for name in used} == {family.name for family in FAMILIES}


def test_every_label_in_the_dashboard_is_one_of_its_metric(dashboard: dict[str, Any]) -> None:
    for expression, legend in expressions(dashboard):
        labels = ADDED.union(*(SERIES[name].labels for name in named(expression)))
        grouped = {one.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for one in names.split(",")}
        assert grouped | set(re.findall(r"{{(\w+)}}", legend)) <= labels, expression


def test_panels_stand_in_their_group_side_by_side(dashboard: dict[str, Any]) -> None:
    rows = [panel["title"].lower() for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == list(dict.fromkeys(family.group for family in FAMILIES))
    here = ""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] == "row":
            here = panel["title"].lower()
            continue
        for target in panel["targets"]:
            assert {SERIES[name].group for name in named(target["expr"])} == {here}, panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_alert_names_metrics_and_their_labels_and_says_what_to_do(alerts: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in alerts}) == len(alerts) >= 15
    for rule in alerts:
        names = named(rule["expr"])
        assert names <= set(SERIES) and names, rule["alert"]
        labels = ADDED.union(*(SERIES[name].labels for name in names))
        told = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", told)) <= labels, rule["alert"]
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", rule["expr"])) <= labels, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert len(rule["annotations"]["action"]) > 40 and rule["annotations"]["summary"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_values_of_labels_that_alerts_and_dashboard_name_exist(
    alerts: list[dict[str, Any]], dashboard: dict[str, Any]
) -> None:
    known = {*REASONS, *REJECTIONS, "done", "failed", "cancelled", "lost", "waiting", "running", "work", "dicomnode"}
    for expression in (*(rule["expr"] for rule in alerts), *(one for one, _ in expressions(dashboard))):
        for label, values in re.findall(r"(\w+)[!=]~?\"([^\"]+)\"", expression):
            assert label == "instance" or set(values.split("|")) <= known, expression


def test_every_verb_that_an_alert_names_is_there(alerts: list[dict[str, Any]]) -> None:
    from typer.main import get_command

    from dicomnode.cli import app

    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    told = " ".join(rule["annotations"]["action"] for rule in alerts)
    assert set(re.findall(r"dicomnode ([a-z]+)", told)) <= verbs


def test_the_reference_is_made_from_the_code() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert reference() in text
    assert all(f"`{one}`" in text for one in (*REJECTIONS, *REASONS))


def test_both_files_come_with_the_package() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    assert {f"config/{path.name}" for path in (DASHBOARD, ALERTS)} <= set(shipped["share/dicomnode/config"])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions_of_prometheus(family: Any) -> None:
    assert re.fullmatch(r"dicomnode_[a-z_]+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    if family.kind == "histogram":
        assert family.name.endswith("_seconds")
    assert not re.search(r"_(ms|kb|mb|gb|minutes|hours|percent)\b", family.name)
    assert family.text.endswith(".") or family.text.endswith("0")
