"""The alerts for Prometheus: they fire when they should, and ask for what there is."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import fetch, make, needs_openssl
from notifications import notification, resource
from prometheus import program
from prometheus_client.parser import text_string_to_metric_families
from service import ROOT, Target, serving, wait_for

ALERTS = ROOT / "config/prometheus/alerts.yaml"
TESTS = sorted((ROOT / "tests/data/prometheus").glob("*_test.yaml"))
PROMTOOL = program("promtool")
OF_THE_TARGET = {"namespace", "job"}
"""Labels that Prometheus adds to what it scrapes."""

RULES = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: http.request, with: {{url: "{url}"}}}}]
"""


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def sections() -> set[str]:
    """The anchors that the page's headings get, of one word each."""
    return set(re.findall(r"^### (\w+)$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool; `make test-deps` gets it")
def test_the_alerts_fire_when_they_should_and_end_again() -> None:
    """As Prometheus itself evaluates them, over made-up histories."""
    for words in (["check", "rules", ALERTS], ["test", "rules", *TESTS]):
        command = list(map(str, [PROMTOOL, *words]))
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_how_grave_it_is_and_where_to_read_on() -> None:
    """Its section on the page has its name; there is no section of an alert that is gone."""
    for rule in alerts():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (page, anchor) == ("docs/metrics.md", rule["alert"].lower())
    assert {rule["alert"] for rule in alerts()} == sections()


def test_each_alert_has_its_history_for_promtool() -> None:
    """Whoever adds an alert shows when it fires."""
    tests = [one for file in TESTS for one in yaml.safe_load(file.read_text())["tests"]]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in alerts()}


@needs_openssl
def test_each_metric_of_an_alert_is_there_with_the_labels_that_are_asked_for(
    tmp_path: Path, target: Target
) -> None:
    """On the page of a service that has had a sync, and of an Argo CD that does not answer."""
    away = {"other": {"server": "http://127.0.0.1:9", "token": {"file": "argocd"}}}
    certificate, key = make(tmp_path / "tls")
    with serving(
        tmp_path / "home", RULES.format(url=target.url),
        tls_certificate=str(certificate), tls_key=str(key), argocd=json.dumps(away),
    ) as service:  # fmt: skip
        _, answer = service.request("POST", "/v1/notifications", notification(resource("a")))
        service.ended(answer["sync"])
        wait_for(lambda: bool(service.events("connection.failed")), 20, "the failure")
        page = fetch(service.port, "/metrics", certificate)
    labels: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels[sample.name] |= set(sample.labels)
    for rule in alerts():
        names = set(re.findall(r"\bpostsync_\w+", rule["expr"]))
        asked = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \((.*?)\)", rule["expr"]))))
        assert names
        for name in names:
            assert name in labels, rule["alert"]
            assert asked - OF_THE_TARGET <= labels[name], rule["alert"]
