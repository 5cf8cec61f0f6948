"""The Grafana dashboard: a real Prometheus has an answer to whatever it asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from cluster import Worker
from notifications import notification, resource
from postgres import Databases
from prometheus import Prometheus, prometheus
from service import ROOT, Service, wait_for
from shared_hosts import end

PANELS = [
    panel
    for panel in json.loads((ROOT / "config/grafana/postsync.json").read_text())["panels"]
    if panel["type"] != "row"
]
TABLE = re.compile(r"^\| `(postsync_\w+)` \| [^|\n]+ \|([^|\n]*)\|", re.MULTILINE)
DOCUMENTED = {
    name: set(re.findall(r"\w+", labels))
    for name, labels in TABLE.findall((ROOT / "docs/metrics.md").read_text())
}
LEFT_OUT = {
    "process_virtual_memory_bytes",  # addresses; what is used of them is the resident memory
    "postsync_dispatcher_process_virtual_memory_bytes",
    "postsync_dispatcher_process_max_fds",  # that of the process beside it
}
JOBS = ("file", "database")

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
- name: ask
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, suspend: true, with: {text: held}}]
"""


def asked(panel: dict[str, Any], job: str) -> list[tuple[str, str]]:
    """The questions of a panel as Grafana sends them, with their legends."""
    values = {"$namespace": ".*", "$job": job, "$__rate_interval": "1m", "$__range": "1h"}
    pattern = re.compile("|".join(map(re.escape, values)))
    return [
        (pattern.sub(lambda found: values[found[0]], target["expr"]), target["legendFormat"])
        for target in panel["targets"]
    ]


def metrics_in(expression: str) -> set[str]:
    """The names of the metrics that an expression asks for."""
    names = re.findall(r"\b(?:postsync|process)_\w+", expression)
    return {name.removesuffix("_bucket") for name in names}


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory, ledgers: Databases
) -> Iterator[tuple[Prometheus, dict[str, list[Service]]]]:
    """An instance on a file and one on PostgreSQL, after a sync and a request without a token."""
    home = tmp_path_factory.mktemp("scraped")
    with ExitStack() as stack:
        url = stack.enter_context(ledgers.database())
        instances = {
            "file": [Service(home / "file", RULES)],
            "database": [
                Service(home / "serve", RULES, database=url),
                Worker(home / "work", RULES, database=url),
            ],
        }
        parts = [part for instance in instances.values() for part in instance]
        for part in parts:
            stack.callback(end, part)
            part.start(ready=False)
        for part in parts:
            part.wait_until_ready()
        ports = {job: [part.port for part in instance] for job, instance in instances.items()}
        server = stack.enter_context(prometheus(home / "prometheus", ports))
        for intake, *_ in instances.values():
            intake.request("POST", "/v1/notifications", b"{")
            intake.request("POST", "/v1/notifications", notification(resource("a")))
        done = 'postsync_runs_ended_total{state="succeeded"}'
        enough = f"count(count_over_time({done}[1m]) >= 2)"
        wait_for(lambda: _number(server, enough) == len(parts), 30, "some scrapes")
        yield server, instances


def _number(server: Prometheus, expression: str) -> float:
    found = server.ask(expression)
    return float(found[0]["value"][1]) if found else 0


@pytest.mark.parametrize("job", JOBS)
def test_each_question_has_an_answer_or_says_why_there_may_be_none(
    scraped: tuple[Prometheus, dict[str, list[Service]]], job: str
) -> None:
    """With the labels that its legend names, on either ledger."""
    server, _ = scraped
    for panel in PANELS:
        found = [(server.ask(expression), legend) for expression, legend in asked(panel, job)]
        assert all(rows for rows, _ in found) or "noValue" in panel["fieldConfig"]["defaults"], (
            panel["title"]
        )
        for rows, legend in found:
            for label in re.findall(r"{{(\w+)}}", legend):
                assert all(label in row["metric"] for row in rows), (panel["title"], label)


def test_of_several_processes_a_panel_shows_the_one_truth(
    scraped: tuple[Prometheus, dict[str, list[Service]]],
) -> None:
    """What the ledger counts is the same at each, and counts once."""
    server, _ = scraped
    shown = {panel["title"]: asked(panel, "database")[0][0] for panel in PANELS}
    held = 'postsync_events_total{job="database", event="run.held"}'
    for expression, value in (
        (f"count({held})", 2),
        (f"max({held})", 1),
        (shown["Runs held"], 1),
        (shown["Dispatchers"], 1),
        (shown["Processes that answer"], 2),
    ):
        wait_for(lambda: _number(server, expression) == value, 20, expression)  # noqa: B023 it is called here


def test_no_alert_is_told_of_an_instance_that_is_well(
    scraped: tuple[Prometheus, dict[str, list[Service]]],
) -> None:
    """What is held has just been held; and each alert can be worked out by what there is."""
    server, _ = scraped
    wait_for(lambda: all(rule["health"] != "unknown" for rule in server.alerts()), 20, "alerts")
    told = [(rule["name"], rule.get("lastError", "")) for rule in server.alerts()
            if rule["health"] != "ok" or rule["state"] != "inactive"]  # fmt: skip
    assert told == []


def test_every_metric_of_the_page_is_shown_or_left_out_on_purpose(
    scraped: tuple[Prometheus, dict[str, list[Service]]],
) -> None:
    """Those of the documents' table, and those of the processes."""
    server, _ = scraped
    found = server.ask('count by (__name__) ({__name__=~"(postsync_dispatcher_)?process_.+"})')
    of_processes = {row["metric"]["__name__"] for row in found}
    shown = {
        name for panel in PANELS for expression, _ in asked(panel, "")
        for name in metrics_in(expression)
    }  # fmt: skip
    assert shown | LEFT_OUT >= of_processes | set(DOCUMENTED)
    assert shown <= of_processes | set(DOCUMENTED)
    assert not shown & LEFT_OUT


def test_what_is_summed_up_by_has_these_labels() -> None:
    """Also where a panel has nothing to show in a test; the page says which a metric has."""
    for panel in PANELS:
        for expression, _ in asked(panel, ""):
            by = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \((.*?)\)", expression))))
            for name in metrics_in(expression) & set(DOCUMENTED):
                assert by - {"le"} <= DOCUMENTED[name], panel["title"]


def test_each_panel_says_what_it_shows_and_each_alert_that_it_names_is_there() -> None:
    """Whoever looks for the first time has nobody to ask."""
    alerts = (ROOT / "config/prometheus/alerts.yaml").read_text()
    known = {rule["alert"] for group in yaml.safe_load(alerts)["groups"] for rule in group["rules"]}
    for panel in PANELS:
        assert len(panel["description"]) > 30, panel["title"]
        named = set(re.findall(r"\bPostsync[A-Z]\w+", panel["description"]))
        assert named <= known, panel["title"]
