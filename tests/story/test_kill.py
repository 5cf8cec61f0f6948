"""Nothing accepted is lost, whatever is killed and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from pathlib import Path

import pytest
from notifications import notification, resource
from service import Service, Target, serving, wait_for

from receiver.errors import AttemptError

RULES = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  retry: {{for: 5m, initialDelay: 100ms, maxDelay: 500ms}}
  timeout: 5s
  actions:
  - uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
  - uses: log.message
    wave: 1
    target: application
    with: {{text: "done"}}
"""


class Sender(threading.Thread):
    """Sends distinct notifications without a pause, and remembers what was accepted."""

    def __init__(self, service: Service, name: str) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._label = name
        self.accepted: set[str] = set()
        self.stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopped.wait(0.004):
            number += 1
            name = f"{self._label}-{number}"
            body = notification(resource(name), application=name)
            try:
                status, _ = self._service.request("POST", "/v1/notifications", body)
            except (AttemptError, ValueError):
                continue
            if status == 202:
                self.accepted.add(name)


@pytest.mark.slow
def test_kill_nine_at_random_points_loses_nothing(tmp_path: Path, target: Target) -> None:
    """Two dozen kills of random processes under load: what was accepted is called for and ends."""
    chance = random.Random(20261121)  # noqa: S311 repeatable, no secret
    target.delay = 0.002
    with serving(tmp_path, RULES.format(url=target.url), drain="2") as service:
        senders = [Sender(service, f"app{i}") for i in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(24):
            threading.Event().wait(chance.uniform(0.02, 0.5))
            _kill_one(
                service, chance.choice(["worker", "dispatcher", "arbiter", "supervisor", "all"])
            )
        for sender in senders:
            sender.stopped.set()
            sender.join()
        accepted = set().union(*(sender.accepted for sender in senders))
        open_plans = "SELECT COUNT(*) FROM plans WHERE state IN ('waiting', 'active')"
        new = "SELECT COUNT(*) FROM syncs WHERE state = 'new'"
        wait_for(
            lambda: service.query(new) == [(0,)] and service.query(open_plans) == [(0,)],
            60,
            "every plan to end",
        )
        _reconcile(service, target, accepted)
        assert service.stop() == 0


def _kill_one(service: Service, which: str) -> None:
    """Kill a process; where the service ends because of it, start it again."""
    assert service.process
    if which == "all":
        service.kill()
    else:
        try:
            pid = service.processes()[which]
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError, ValueError):
            pass
        if which == "worker":
            return
        service.stop()
    service.start(ready=False)
    wait_for(service._ready, 30, "the service to be ready again")


def _reconcile(service: Service, target: Target, accepted: set[str]) -> None:
    called = {json.loads(item["body"])["name"] for item in target.seen}
    assert len(accepted) > 100, "the load was too small to prove anything"
    assert accepted - called == set()
    states = dict(service.query("SELECT state, COUNT(*) FROM runs GROUP BY state"))
    assert set(states) == {"succeeded"}
    stored = {name.split("/")[1] for (name,) in service.query("SELECT application FROM syncs")}
    assert accepted <= stored
    keys: dict[str, set[str]] = {}
    for item in target.seen:
        keys.setdefault(json.loads(item["body"])["name"], set()).add(
            item["headers"]["Idempotency-Key"]
        )
    assert all(len(one) == 1 for one in keys.values()), "a repeated call kept its key"
