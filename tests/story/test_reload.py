"""How a service comes by changed rules, and which Applications its rules mean."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from notifications import notification, resource
from service import serving, wait_for

SAY = """
version: 1
rules:
- name: say
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: one}}]
"""

LABELS = """
version: 1
rules:
- name: edge
  match: {application: {labels: {tier: "edge-*", team: [web, shop]}}}
  actions: [{uses: log.message, with: {text: "${{ application.name }}"}}]
"""


def test_sighup_loads_the_rules_again_at_once(tmp_path: Path) -> None:
    """The signal goes to the process that was started, and works where the files' stats do not."""
    with serving(tmp_path, SAY) as service:
        before = service.rules.stat()
        with service.rules.open("r+") as file:
            file.write(SAY.replace("one", "two"))
        os.utime(service.rules, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = service.rules.stat()
        # What the look at the files every two seconds goes by: it does not see this change.
        assert (before.st_mtime_ns, before.st_size, before.st_ino) == (
            after.st_mtime_ns, after.st_size, after.st_ino
        )  # fmt: skip
        assert service.process
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for(lambda: len(service.events("rules.loaded")) == 2, 10, "the new rules")
        _, answer = service.request("POST", "/v1/notifications", notification(resource("a")))
        events = service.ended(answer["sync"])["events"]
        assert [e["text"] for e in events if e["event"] == "action.message"] == ["two"]


def test_an_application_is_matched_by_globs_over_its_labels(tmp_path: Path) -> None:
    """Every label that a rule names must be there and fit one of its globs."""
    with serving(tmp_path, LABELS) as service:
        told = {}
        for name, labels in {
            "fits": {"tier": "edge-eu", "team": "shop"},
            "other-value": {"tier": "core", "team": "shop"},
            "lacks-one": {"tier": "edge-eu"},
            "has-none": None,
        }.items():
            body = json.loads(notification(resource("a"), application=name))
            body["application"]["labels"] = labels
            _, answer = service.request("POST", "/v1/notifications", json.dumps(body).encode())
            events = service.ended(answer["sync"])["events"]
            told[name] = [e["text"] for e in events if e["event"] == "action.message"]
        assert told == {"fits": ["fits"], "other-value": [], "lacks-one": [], "has-none": []}
