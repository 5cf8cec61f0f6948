"""Makes the Grafana dashboard of what config/grafana/panels.yaml says that it shows.

`make generate` writes config/grafana/postsync.json, `make check` says when it is stale.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path("config/grafana")
PANELS = FOLDER / "panels.yaml"
DASHBOARD = FOLDER / "postsync.json"

WIDTH = 24
"""Columns of Grafana's grid."""
SIZES = {"stat": (4, 4), "lines": (8, 8), "table": (8, 4)}
"""Columns and rows of each kind of panel."""
TYPES = {"stat": "stat", "lines": "timeseries", "table": "table"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = 'namespace=~"$namespace", job="$job"'
METRIC = re.compile(r"\b((?:postsync|process)_\w+|up|ALERTS)\b(?!\()(\{)?")

Json = dict[str, Any]


def narrowed(expression: str) -> str:
    """Return an expression in which each metric is of the namespace and the job that are chosen."""
    return METRIC.sub(lambda found: f"{found[1]}{{{CHOSEN}{', ' if found[2] else '}'}", expression)


def dashboard(rows: list[Json]) -> Json:
    """Return the dashboard."""
    return {
        "uid": "postsync",
        "title": "Postsync",
        "description": "What happens after Argo CD's syncs. docs/metrics.md tells of each metric.",
        "tags": ["argocd", "postsync"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [*variables()]},
        "annotations": {"list": []},
        "links": [],
        "panels": [*placed(rows)],
    }


def variables() -> Iterator[Json]:
    """Yield what is chosen above it: the Prometheus, the namespace, and one instance in it."""
    yield {
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        "refresh": 1, "hide": 0, "includeAll": False, "multi": False,
    }  # fmt: skip
    of_all = {"allValue": ".*", "current": {"selected": True, "text": "All", "value": "$__all"}}
    yield query("namespace", "postsync_ledger_up", "namespace") | of_all
    yield query("job", 'postsync_ledger_up{namespace=~"$namespace"}', "job")


def query(name: str, metric: str, label: str) -> Json:
    """Return a variable of the values that a label of a metric has."""
    return {
        "name": name, "label": name.capitalize(), "type": "query", "datasource": SOURCE,
        "query": f"label_values({metric}, {label})", "refresh": 2, "sort": 1, "hide": 0,
        "includeAll": name == "namespace", "multi": False,
    }  # fmt: skip


def placed(rows: list[Json]) -> Iterator[Json]:
    """Yield the panels, each row's from left to right, below its heading."""
    ids, top = count(1), 0
    for row in rows:
        yield {
            "id": next(ids), "type": "row", "title": row["title"], "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}, "panels": [],
        }  # fmt: skip
        left, top, below = 0, top + 1, top + 1
        for panel in row["panels"]:
            width, height = SIZES[panel.get("kind", "stat")]
            if left + width > WIDTH:
                left, top = 0, below
            at = {"x": left, "y": top, "w": width, "h": height}
            yield {"id": next(ids), "gridPos": at} | shown(panel)
            left, below = left + width, max(below, top + height)
        top = below


def shown(panel: Json) -> Json:
    """Return a panel without its place."""
    kind = panel.get("kind", "stat")
    lines = kind == "lines"
    targets = [
        {
            "refId": chr(ord("A") + number), "datasource": SOURCE, "expr": narrowed(ask["expr"]),
            "legendFormat": ask["legend"], "instant": not lines, "range": lines,
            "format": "table" if kind == "table" else "time_series",
        }
        for number, ask in enumerate(panel["asks"])
    ]  # fmt: skip
    return {
        "type": TYPES[kind],
        "title": panel["title"],
        "description": panel["says"],
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": fields(panel, kind), "overrides": []},
        "options": OPTIONS[kind],
    }


def fields(panel: Json, kind: str) -> Json:
    """Return the unit of a panel's values, and what they mean."""
    steps: Mapping[float, str] = panel.get("steps", {0: "green"})
    first = min(steps)
    levels = [
        {"color": color, "value": None if value == first else value}
        for value, color in sorted(steps.items())
    ]
    found: Json = {
        "unit": panel.get("unit", "short"),
        "thresholds": {"mode": "absolute", "steps": levels},
    }
    if "none" in panel:
        found["noValue"] = panel["none"]
    if "values" in panel:
        named = {
            str(value): {"index": value, "text": text, "color": color}
            for value, (text, color) in panel["values"].items()
        }
        found["mappings"] = [{"type": "value", "options": named}]
    if kind == "lines":
        found["min"] = 0
        style = "dashed" if "steps" in panel else "off"
        found["custom"] = {"fillOpacity": 10, "thresholdsStyle": {"mode": style}}
    elif kind == "table":
        found["custom"] = {"align": "auto", "inspect": False}
    return found


OPTIONS: Mapping[str, Json] = {
    "stat": {
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto",
        "orientation": "auto", "wideLayout": True, "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "lines": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True, "frameIndex": 0},
}  # fmt: skip


def main() -> int:
    """Write the dashboard, or with ``--check`` return 1 if it is stale."""
    rows = yaml.safe_load(PANELS.read_text(encoding="utf-8"))["rows"]
    wanted = json.dumps(dashboard(rows), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        DASHBOARD.write_text(wanted, encoding="utf-8")
    elif not DASHBOARD.exists() or DASHBOARD.read_text(encoding="utf-8") != wanted:
        sys.stderr.write(f"{DASHBOARD} is stale: run `make generate`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
