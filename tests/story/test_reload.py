"""How a service comes by changed rules, and which Applications its rules mean."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path

from notifications import notification, resource
from service import Service, serving, wait_for

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


def refusals(service: Service, count: int) -> bool:
    return len(service.events("rules.refused")) == count


BREAKERS = {
    "nested": ("[" * 900, "rules.yaml:1:100: nested more than 100 levels deep"),
    "segv": ("[" * 100_000, "rules.yaml:1:100: nested more than 100 levels deep"),
    "digits": (SAY.replace("one", "9" * 5_000), "a number of 5000 digits is not read"),
    "boolean": (SAY + "  enabled: !!bool maybe\n", "rules.yaml:7:12: this is tagged as a boolean"),
}


def test_files_that_would_break_their_reader_are_refused_and_the_next_edit_is_seen(
    tmp_path: Path,
) -> None:
    """Each is told with its place, the last good rules stay in force, and the loader lives on."""
    with serving(tmp_path, SAY) as service:
        for count, (text, told) in enumerate(BREAKERS.values(), 1):
            service.rules.write_text(text)
            wait_for(partial(refusals, service, count), 20, told)
            assert told in service.events("rules.refused")[-1]["reason"]
        assert service.request("GET", "/readyz")[1]["rules"]["ok"] is False
        assert service.request("GET", "/healthz")[0] == 200
        _, answer = service.request("POST", "/v1/notifications", notification(resource("a")))
        assert len(service.ended(answer["sync"])["plans"]) == 1
        service.rules.write_text(SAY.replace("one", "two"))
        wait_for(lambda: len(service.events("rules.loaded")) == 2, 20, "the mended rules")
        assert service.request("GET", "/readyz")[1]["rules"]["ok"] is True


def test_a_restart_beside_a_file_that_breaks_its_reader_goes_on_with_the_last_good_rules(
    tmp_path: Path,
) -> None:
    """They are in the ledger."""
    with serving(tmp_path, SAY) as service:
        digest = service.request("GET", "/readyz")[1]["rules"]["digest"]
        service.stop()
        service.rules.write_text(BREAKERS["boolean"][0])
        service.start()
        wait_for(lambda: bool(service.events("rules.refused")), 20, "the refusal")
        rules = service.request("GET", "/readyz")[1]["rules"]
        assert (rules["ok"], rules["digest"]) == (False, digest)
        _, answer = service.request("POST", "/v1/notifications", notification(resource("a")))
        assert len(service.ended(answer["sync"])["plans"]) == 1


def test_a_pipe_in_the_place_of_the_rules_is_refused_and_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    """A file that comes after it is loaded."""
    with serving(tmp_path, SAY) as service:
        service.rules.unlink()
        os.mkfifo(service.rules)
        wait_for(lambda: bool(service.events("rules.refused")), 20, "the refusal")
        assert "rules.yaml: is no regular file" in service.events("rules.refused")[0]["reason"]
        service.rules.unlink()
        service.rules.write_text(SAY.replace("one", "two"))
        wait_for(lambda: len(service.events("rules.loaded")) == 2, 20, "the next rules")


def test_a_rule_that_needs_a_connection_is_warned_of(tmp_path: Path) -> None:
    """On the trail and at `/readyz`, where no sender of the settings has one."""
    rules = SAY.replace("kind: ConfigMap", "kind: ConfigMap, labels: {tier: edge}")
    with serving(tmp_path, rules) as service:
        (warning,) = service.request("GET", "/readyz")[1]["rules"]["warnings"]
        assert "labels: no sender has a connection" in warning
        (told,) = service.events("rules.warning")
        assert told["reason"] == warning
