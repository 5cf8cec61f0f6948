"""Syncs that come faster than their actions, as an operator meets them."""

from __future__ import annotations

import json
from pathlib import Path

from notifications import notification, resource
from service import Service, Target, serving, wait_for

DEBOUNCED = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  debounce: {{window: 3s, maxWait: 30s}}
  actions:
  - uses: http.request
    target: batch
    with: {{url: "{url}", json: {{names: "${{{{ resources.map(r, r.name) }}}}"}}}}
"""
SUPERSEDING = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  onNewer: supersede
  actions:
  - uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}", sync: "${{{{ sync.id }}}}"}}}}
  - name: then
    uses: log.message
    wave: 1
    target: application
    with: {{text: "done for ${{{{ sync.id }}}}"}}
"""


def send(service: Service, number: int, *names: str) -> str:
    body = notification(*(resource(name) for name in names), retryCount=0, message=str(number))
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return str(answer["sync"])


def test_ten_syncs_in_a_second_are_one_call(tmp_path: Path, target: Target) -> None:
    """With the union of their resources; each sync's trail says which plan it went into."""
    with serving(tmp_path, DEBOUNCED.format(url=target.url)) as service:
        syncs = [send(service, n, f"c{n % 4}", f"d{n}") for n in range(10)]
        wait_for(lambda: bool(service.events("plan.succeeded")), 30, "the one plan's end")
        (call,) = target.seen
        names = {f"c{n}" for n in range(4)} | {f"d{n}" for n in range(10)}
        assert sorted(json.loads(call["body"])["names"]) == sorted(names)
        (plan,) = service.query("SELECT id, sync_id FROM plans")
        began, *joined = service.events("plan.collecting") + service.events("plan.joined")
        assert {line["sync"] for line in (began, *joined)} == set(syncs)
        assert {line["plan"] for line in (began, *joined)} == {plan[0]}
        assert service.query("SELECT COUNT(*) FROM plan_syncs") == [(10,)]


def test_what_collects_when_everything_is_killed_is_done_after_the_next_start(
    tmp_path: Path, target: Target
) -> None:
    """A plan that waits for further syncs is a row with a time, and nothing else."""
    patient = DEBOUNCED.replace("window: 3s", "window: 10s")  # longer than a start takes
    with serving(tmp_path, patient.format(url=target.url)) as service:
        send(service, 1, "a")
        wait_for(lambda: bool(service.events("plan.collecting")), 10, "the plan")
        service.kill()
        service.start()
        send(service, 2, "b")
        wait_for(lambda: bool(service.events("plan.succeeded")), 30, "the plan's end")
        assert [json.loads(call["body"]) for call in target.seen] == [{"names": ["a", "b"]}]


def test_the_newest_of_many_syncs_is_done_under_a_slow_target(
    tmp_path: Path, target: Target
) -> None:
    """What has started is finished; what is in between is superseded, and all of it is told."""
    target.delay = 4
    with serving(tmp_path, SUPERSEDING.format(url=target.url), attempt_threads="4") as service:
        syncs = [send(service, 0, "a")]
        wait_for(lambda: len(target.seen) == 1, 10, "the first call")
        syncs += [send(service, number, "a") for number in range(1, 6)]
        target.delay = 0
        story = service.ended(syncs[-1])
        assert story["plans"][0]["state"] == "succeeded"
        called = [json.loads(call["body"])["sync"] for call in target.seen]
        assert called[0] == syncs[0]
        assert called[-1] == syncs[-1]
        first = service.ended(syncs[0])["plans"][0]
        states = {run["action"]: run["state"] for run in first["runs"]}
        assert states == {"http_request": "succeeded", "then": "superseded"}
        told = service.events("plan.superseded")
        assert {line["sync"] for line in told} == set(syncs) - {syncs[-1]}
        assert service.query("SELECT DISTINCT state FROM plans ORDER BY state") == [
            ("succeeded",), ("superseded",)
        ]  # fmt: skip


BLOCKED = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: http.request, with: {{url: "{url}"}}}}]
- name: tell
  match: {{resources: [{{kind: Secret}}]}}
  actions: [{{uses: log.message, with: {{text: told}}}}]
"""


def test_what_waits_for_one_host_keeps_no_other_sync_from_its_plan(
    tmp_path: Path, target: Target
) -> None:
    """However much of it is ready: a service that refuses again and again, with 120 runs for it."""
    target.statuses = [429] * 500
    with serving(tmp_path, BLOCKED.format(url=target.url)) as service:
        send(service, 0, *(f"c{number}" for number in range(120)))
        wait_for(lambda: bool(service.events("lane.blocked")), 20, "the refusal")
        status, answer = service.request(
            "POST", "/v1/notifications", notification(resource("s", kind="Secret"))
        )
        assert status == 202
        assert service.ended(str(answer["sync"]), 8)["plans"][0]["state"] == "succeeded"
        assert service.query("SELECT COUNT(*) > 64 FROM runs WHERE ready") == [(1,)]
