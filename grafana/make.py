"""Makes the dashboards in dashboards/ from boards.yaml: `python grafana/make.py`. What is shipped, and tested, is the JSON.

In boards.yaml an expression names what it is asked for: <process> stands for the matchers of job and instance, <environment> for those and
the environment, <route>, <domain> and <recorded> likewise; a recorded series may have lost its instance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
GRAFANA = {"type": "grafana", "uid": "-- Grafana --"}
PROCESS = 'job=~"$job",instance=~"$instance"'
ENVIRONMENT = f'{PROCESS},environment=~"$environment"'
MATCHERS = {
    "<process>": PROCESS,
    "<environment>": ENVIRONMENT,
    "<route>": f'{ENVIRONMENT},route=~"$route"',
    "<domain>": f'{ENVIRONMENT},domain=~"$domain"',
    "<recorded>": 'job=~"$job",environment=~"$environment"',
    "<recorded route>": 'job=~"$job",environment=~"$environment",route=~"$route"',
}
VARIABLES = {  # name -> (label, the values that it may have)
    "job": ("Job", "label_values(mailcanary_build_info, job)"),
    "instance": ("Instance", 'label_values(mailcanary_build_info{job=~"$job"}, instance)'),
    "environment": ("Environment", f"label_values(mailcanary_incidents_open{{{PROCESS}}}, environment)"),
    "route": ("Route", f"label_values(mailcanary_route_enabled{{{ENVIRONMENT}}}, route)"),
    "domain": ("Domain", f"label_values(mailcanary_inspection_interval_seconds{{{ENVIRONMENT}}}, domain)"),
}
LINES = {"drawStyle": "line", "fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
BARS = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"group": "A", "mode": "normal"}}
SERIES: dict[str, Any] = {
    "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "lines": SERIES,
    "bars": SERIES,
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    },
    "table": {"cellHeight": "sm", "showHeader": True},
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Greens", "steps": 32},
        "legend": {"show": True},
        "tooltip": {"show": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "unit": "s"},
    },
}
TYPES = {"lines": "timeseries", "bars": "timeseries"}


def expression(short: str) -> str:
    for name, matchers in MATCHERS.items():
        short = short.replace(name, matchers)
    return short


def target(query: dict[str, str], place: int, kind: str) -> dict[str, Any]:
    made = {"datasource": PROMETHEUS, "expr": expression(query["expr"]), "legendFormat": query["legend"], "refId": chr(ord("A") + place)}
    if kind in ("table", "heatmap"):
        made["format"] = kind
    return made | ({"instant": True, "range": False} if kind in ("stat", "table") else {})


def panel(told: dict[str, Any], at: dict[str, int], number: int) -> dict[str, Any]:
    kind, steps, words = told["kind"], told.get("steps"), told.get("words", {})
    defaults: dict[str, Any] = {"color": {"mode": "thresholds" if steps else "palette-classic"}, "unit": told["unit"]}
    defaults["mappings"] = [
        {"type": "value", "options": {value: {"index": i, "text": text} for i, (value, text) in enumerate(words.items())}}
    ]
    if not words:
        defaults["mappings"] = []
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps.items()]}
    if kind in TYPES:
        defaults |= {"custom": LINES if kind == "lines" else BARS, "min": 0}
    if told["unit"] == "percentunit" and kind in TYPES:
        defaults["max"] = 1
    if "drill" in told:
        defaults["links"] = [{"title": title, "url": url, "targetBlank": False} for title, url in told["drill"].items()]
    return {
        "datasource": PROMETHEUS,
        "description": told["description"],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": at,
        "id": number,
        "options": OPTIONS[kind],
        "targets": [target(query, place, kind) for place, query in enumerate(told["queries"])],
        "title": told["title"],
        "type": TYPES.get(kind, kind),
    }


def row(title: str, y: int, number: int) -> dict[str, Any]:
    return {"collapsed": False, "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}, "id": number, "panels": [], "title": title, "type": "row"}


def panels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row's panels from left to right, on as many lines as they need."""
    made: list[dict[str, Any]] = []
    y = 0
    for told in rows:
        made.append(row(told["title"], y, len(made) + 1))
        x, y, height = 0, y + 1, 0
        for one in told["panels"]:
            if x + one["w"] > 24:
                x, y, height = 0, y + height, 0
            made.append(panel(one, {"h": one["h"], "w": one["w"], "x": x, "y": y}, len(made) + 1))
            x, height = x + one["w"], max(height, one["h"])
        y += height
    return made


def variable(name: str) -> dict[str, Any]:
    label, query = VARIABLES[name]
    return {
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": PROMETHEUS,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }


def datasource() -> dict[str, Any]:
    return {
        "current": {"selected": False, "text": "Prometheus", "value": "prometheus"},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def annotations() -> list[dict[str, Any]]:
    """What Grafana draws itself; deploys as we export them; openings of incidents; and what mailcanary draws by its API."""
    builtin = {"builtIn": 1, "datasource": GRAFANA, "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)"}
    exported = {"datasource": PROMETHEUS, "enable": True}
    transitions = f'mailcanary_incident_transitions_total{{{ENVIRONMENT},to="opened"}}'
    return [
        {**builtin, "name": "Annotations & Alerts", "type": "dashboard"},
        {
            **exported,
            "expr": f"mailcanary_last_deploy_timestamp_seconds{{{ENVIRONMENT}}} * 1000 > 0",
            "iconColor": "blue",
            "name": "Deploys",
            "tagKeys": "environment",
            "textFormat": "deploy of the shop marked",
            "titleFormat": "deploy",
            "useValueForTime": "on",
        },
        {
            **exported,
            "expr": f"sum by (environment, symptom) (increase({transitions}[$__rate_interval])) > 0",
            "iconColor": "red",
            "name": "Incidents that opened",
            "tagKeys": "environment,symptom",
            "textFormat": "{{symptom}}",
            "titleFormat": "incident opened",
            "useValueForTime": "off",
        },
        {
            "datasource": GRAFANA,
            "enable": True,
            "hide": False,
            "iconColor": "orange",
            "name": "Deploys and failed gates, as mailcanary draws them",
            "target": {"limit": 100, "matchAny": False, "tags": ["mailcanary"], "type": "tags"},
        },
    ]


def link() -> dict[str, Any]:
    """To all dashboards of mailcanary, with the same time and variables."""
    return {
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["mailcanary"],
        "targetBlank": False,
        "title": "mailcanary",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def dashboard(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "annotations": {"list": annotations()},
        "description": told["description"],
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [link()],
        "panels": panels(told["rows"]),
        "refresh": "30s",
        "schemaVersion": 38,
        "tags": ["mailcanary"],
        "templating": {"list": [datasource(), *(variable(name) for name in ("job", "instance", "environment", *told["variables"]))]},
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "timezone": "utc",
        "title": told["title"],
        "uid": told["uid"],
        "version": 1,
        "weekStart": "",
    }


def made() -> dict[str, str]:
    """File name -> text of every dashboard."""
    boards = yaml.safe_load((HERE / "boards.yaml").read_text(encoding="utf-8"))["boards"]
    return {f"{told['uid']}.json": json.dumps(dashboard(told), indent=2, sort_keys=True, ensure_ascii=False) + "\n" for told in boards}


if __name__ == "__main__":
    for name, text in made().items():
        (HERE / "dashboards" / name).write_text(text, encoding="utf-8")
