"""The dashboards as Grafana and its linter want them. That each query runs and finds something is tested against a real Prometheus."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.model.facts import DeployMarked
from monitor.model.incident import DeployPhase
from monitor.model.instant import Instant
from monitor.rules.annotate import picture

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS = ("domain", "gates", "monitor", "overview", "route")
UNITS = {"short", "s", "percentunit", "bytes"}
PANEL_KEYS = {"datasource", "description", "fieldConfig", "gridPos", "id", "options", "targets", "title", "type"}
ROW_KEYS = {"collapsed", "gridPos", "id", "panels", "title", "type"}
TARGET_KEYS = {"datasource", "expr", "legendFormat", "refId"}
KINDS: dict[str, tuple[set[str], set[str], set[str]]] = {  # type -> keys of options, of field defaults, of targets beside the common ones
    "stat": ({"colorMode", "graphMode", "justifyMode", "orientation", "reduceOptions", "textMode"}, {"thresholds"}, {"instant", "range"}),
    "timeseries": ({"legend", "tooltip"}, {"custom", "min"}, set()),
    "table": ({"cellHeight", "showHeader"}, set(), {"format", "instant", "range"}),
    "heatmap": ({"calculate", "cellGap", "color", "legend", "tooltip", "yAxis"}, set(), {"format"}),
}
FIELD_KEYS = {"color", "mappings", "unit"}
MAY_STAND = {"links", "max"}
ANNOTATION_KEYS = {
    "prometheus": {"datasource", "enable", "expr", "iconColor", "name", "tagKeys", "textFormat", "titleFormat", "useValueForTime"},
    "tags": {"datasource", "enable", "hide", "iconColor", "name", "target"},
    "builtin": {"builtIn", "datasource", "enable", "hide", "iconColor", "name", "type"},
}
LINK_KEYS = {"asDropdown", "icon", "includeVars", "keepTime", "tags", "targetBlank", "title", "tooltip", "type", "url"}
DASHBOARD_KEYS = {
    "annotations", "description", "editable", "fiscalYearStartMonth", "graphTooltip", "id", "links", "panels", "refresh", "schemaVersion",
    "tags", "templating", "time", "timepicker", "timezone", "title", "uid", "version", "weekStart",
}  # fmt: skip


def strictly(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """No key stands twice."""
    assert len(dict(pairs)) == len(pairs), [key for key, _ in pairs]
    return dict(pairs)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    loaded = json.loads(request.param.read_text(encoding="utf-8"), object_pairs_hook=strictly, parse_constant=refuse)
    assert isinstance(loaded, dict)
    return loaded


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_they_are_what_the_script_makes() -> None:
    found = importlib.util.spec_from_file_location("make", GRAFANA / "make.py")
    assert found is not None and found.loader is not None
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    made = script.made()
    assert sorted(made) == [f"mailcanary-{name}.json" for name in BOARDS] == [path.name for path in FILES]
    for path in FILES:
        assert path.read_text(encoding="utf-8") == made[path.name], f"{path.name}: run grafana/make.py"


def test_keys_are_those_that_grafana_knows(board: dict[str, Any]) -> None:
    assert set(board) == DASHBOARD_KEYS
    for panel in board["panels"]:
        assert set(panel) == (ROW_KEYS if panel["type"] == "row" else PANEL_KEYS), panel["title"]
    for panel in panels(board):
        options, field, target = KINDS[panel["type"]]
        defaults = set(panel["fieldConfig"]["defaults"])
        assert set(panel["options"]) == options and set(panel["fieldConfig"]) == {"defaults", "overrides"}, panel["title"]
        assert FIELD_KEYS | field <= defaults <= FIELD_KEYS | field | MAY_STAND, panel["title"]
        for one in panel["targets"]:
            assert set(one) == TARGET_KEYS | target, panel["title"]
    for link in board["links"]:
        assert set(link) == LINK_KEYS
    for drawn in board["annotations"]["list"]:
        kind = "builtin" if drawn.get("builtIn") else "prometheus" if "expr" in drawn else "tags"
        assert set(drawn) == ANNOTATION_KEYS[kind], drawn["name"]


def test_it_is_provisioned_and_not_edited(board: dict[str, Any]) -> None:
    assert (board["editable"], board["id"]) == (False, None)
    assert board["uid"] in {f"mailcanary-{name}" for name in BOARDS} and len(board["uid"]) <= 40
    assert board["tags"] == ["mailcanary"] and "__inputs" not in json.dumps(board)


def test_names_are_their_own() -> None:
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in FILES]
    assert [one["uid"] for one in loaded] == [path.stem for path in FILES]
    assert len({one["title"] for one in loaded}) == len(loaded)


def test_each_leads_to_the_others_at_the_same_time(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert link["type"] == "dashboards" and link["tags"] == board["tags"] and link["keepTime"] and link["includeVars"]
    for panel in panels(board):
        for drill in panel["fieldConfig"]["defaults"].get("links", ()):
            found = re.match(r"/d/mailcanary-(\w+)\?", drill["url"])
            assert found and found[1] in BOARDS and "${__url_time_range}" in drill["url"], drill["url"]
            target = json.loads((GRAFANA / "dashboards" / f"mailcanary-{found[1]}.json").read_text(encoding="utf-8"))
            names = {item["name"] for item in target["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", drill["url"])) <= names, drill["url"]


def test_each_variable_is_asked_for_and_nothing_else(board: dict[str, Any]) -> None:
    names = {item["name"] for item in board["templating"]["list"]}
    asked = "\n".join(target["expr"] for panel in panels(board) for target in panel["targets"])
    assert set(re.findall(r'=~"\$(\w+)"', asked)) == names - {"datasource"}


def test_the_rules_link_dashboards_that_exist() -> None:
    for path in sorted((GRAFANA.parent / "config" / "prometheus").glob("*.rules.yaml")):
        for name in re.findall(r"/d/mailcanary-(\w+)", path.read_text(encoding="utf-8")):
            assert name in BOARDS, f"{path.name}: {name}"


@pytest.fixture
def overview() -> dict[str, Any]:
    return dict(json.loads((GRAFANA / "dashboards" / "mailcanary-overview.json").read_text(encoding="utf-8")))


def test_incidents_are_drawn(board: dict[str, Any]) -> None:
    (drawn,) = [item["expr"] for item in board["annotations"]["list"] if "incident" in item.get("expr", "")]
    assert "mailcanary_incident_transitions_total{" in drawn and 'to="opened"' in drawn


def test_variables(board: dict[str, Any]) -> None:
    names = {item["name"]: item for item in board["templating"]["list"]}
    assert {"datasource", "job", "instance"} <= set(names)
    assert names["datasource"]["type"] == "datasource" and names["datasource"]["query"] == "prometheus"
    for name in set(names) - {"datasource"}:
        assert names[name]["datasource"]["uid"] == "${datasource}" and names[name]["allValue"] == ".+" and names[name]["refresh"] == 2


def test_every_panel_says_what_it_is(board: dict[str, Any]) -> None:
    for panel in panels(board):
        assert panel["title"] and len(panel["description"]) > 10 and panel["targets"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"


def test_ids_and_places(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


def test_queries(board: dict[str, Any]) -> None:
    for panel in panels(board):
        for target in panel["targets"]:
            text = target["expr"]
            assert 'job=~"$job"' in text and (
                'instance=~"$instance"' in text or re.match(r"(?:max by \(route\) \()?(?:route|environment):", text)
            ), text
            assert target["datasource"]["uid"] == "${datasource}"
            for window in re.findall(r"\[([^\]]+)\]", text):
                assert window == "$__rate_interval", text
            for counter in re.findall(r"(\w+)\(\s*mailcanary_\w+_(?:total|bucket|sum|count)\b", text):
                assert counter in ("rate", "increase"), text
            bare = re.sub(r"(?:rate|increase)\(\s*mailcanary_\w+\{[^}]*\}\[[^\]]+\]\)", "", text)
            assert not re.search(r"mailcanary_\w+_(?:total|bucket)\b", bare), text


def test_gates_have_a_row(overview: dict[str, Any]) -> None:
    """Every metric of gates stands in a panel of that row."""
    texts = [panel["title"] for panel in overview["panels"]]
    row = overview["panels"][texts.index("Release gates") + 1 : texts.index("Authentication and DNS")]
    asked = "\n".join(target["expr"] for panel in row for target in panel["targets"])
    for name in (
        "decisions_total",
        "flips_total",
        "overrides_active",
        "advisories_active",
        "held",
        "probes_total",
        "duration_seconds_bucket",
    ):
        assert f"mailcanary_gate_{name}{{" in asked, name
    assert "mailcanary_gates_running{" in asked


def test_the_ledger_has_a_row(overview: dict[str, Any]) -> None:
    """Every metric of the ledger stands in a panel of that row."""
    texts = [panel["title"] for panel in overview["panels"]]
    row = overview["panels"][texts.index("Refunds and confirmations") + 1 : texts.index("Release gates")]
    asked = "\n".join(target["expr"] for panel in row for target in panel["targets"])
    for name in (
        "unconfirmed_refunds",
        "spurious_confirmations",
        "mismatched_confirmations",
        "duplicate_confirmations",
        "oldest_unconfirmed_timestamp_seconds",
        "last_reconciled_timestamp_seconds",
        "source_read_until_timestamp_seconds",
        "source_blind",
        "differences_found_total",
    ):
        assert f"mailcanary_ledger_{name}{{" in asked, name


def test_inspections_have_a_row(overview: dict[str, Any]) -> None:
    """Every metric of inspections stands in a panel of that row."""
    texts = [panel["title"] for panel in overview["panels"]]
    row = overview["panels"][texts.index("Authentication and DNS") + 1 : texts.index("The monitor itself")]
    asked = "\n".join(target["expr"] for panel in row for target in panel["targets"])
    for name in (
        "auth_check_ok",
        "auth_check_unknown",
        "auth_last_check_timestamp_seconds",
        "inspection_interval_seconds",
        "inspections_total",
        "findings",
        "zone_drifts",
        "resolver_blind",
    ):
        assert f"mailcanary_{name}{{" in asked, name


def test_what_we_draw_is_found_by_its_tag(board: dict[str, Any]) -> None:
    marker = DeployMarked(Instant(1.0, 0.0, ""), "d-1", DeployPhase.START)
    (drawn,) = [item for item in board["annotations"]["list"] if item.get("target", {}).get("type") == "tags"]
    assert drawn["datasource"] == {"type": "grafana", "uid": "-- Grafana --"} and drawn["enable"] and drawn["target"]["matchAny"] is False
    assert set(drawn["target"]["tags"]) <= set(picture(marker, "production").tags)


def test_provisioning() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "mailcanary.yaml").read_text())
    assert source["apiVersion"] == 1 and [item["type"] for item in source["datasources"]] == ["prometheus"]
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "mailcanary.yaml").read_text())["providers"][0]
    assert provider["type"] == "file" and provider["allowUiUpdates"] is False and provider["options"]["path"].startswith("/")
