"""A real service tells what it holds, by the shipped example, and whatever it is killed in."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import told, typed
from notifications import notification, resource
from service import ROOT, Service, Target, serving, wait_for

EXAMPLE = yaml.safe_load((ROOT / "config/examples/rules/ask-for-an-approval.yaml").read_text())
HOLDING = """
- name: careful
  match: {resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 1}
  actions: [{uses: log.message, with: {text: done}}]
"""


BRIEF = """
- name: promote
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, target: batch, suspend: {expires: 8s}, with: {text: done}}]
"""


def rules_of(target: Target, more: str) -> str:
    """The shipped example with its messages sent here, beside a rule that holds."""
    target.answer = b'{"ok": true, "channel": "C1", "ts": "1.2"}'
    shipped = copy.deepcopy(EXAMPLE["rules"])
    shipped[0]["actions"][0]["with"]["api"] = target.url
    return yaml.safe_dump({**EXAMPLE, "rules": [*shipped, *yaml.safe_load(more)]})


def started(home: Path, rules: str) -> AbstractContextManager[Service]:
    return serving(home, rules, secret_slack="hush", page_url="https://postsync.example")


@pytest.fixture
def service(tmp_path: Path, target: Target) -> Iterator[Service]:
    with started(tmp_path, rules_of(target, HOLDING)) as made:
        yield made


def send(service: Service, application: str) -> str:
    body = notification(resource("a"), resource("b"), application=application)
    return str(service.request("POST", "/v1/notifications", body)[1]["sync"])


def plan_of(service: Service, sync: str) -> dict[str, Any]:
    wait_for(lambda: bool(service.story(sync)["plans"]), 20, "its plan")
    return dict(service.story(sync)["plans"][0])


def messages(target: Target) -> list[str]:
    return [json.loads(call["body"])["text"] for call in target.seen]


def holds(service: Service, number: int) -> bool:
    """Whether so many plans are held."""
    (found,) = service.query("SELECT COUNT(*) FROM plans WHERE state = 'held'")[0]
    return bool(found >= number)


def test_the_shipped_example_tells_what_to_type(service: Service, target: Target) -> None:
    """What it says is typed, and the plan goes on; nothing more is told of it."""
    plan = plan_of(service, send(service, "shop"))
    wait_for(lambda: bool(target.seen), 20, "the message")
    (text,) = messages(target)
    assert text == (
        "careful of shop is held: matches 2 resources, more than maxTargets 1; "
        f"postsync approve {plan['id']} https://postsync.example/page/plans/{plan['id']}"
    )
    assert typed(service, "approve", plan["id"], "--yes").returncode == 0
    service.ended(plan["sync"])
    own, _ = told(service, "syncs")
    assert (own["channel"], own["plans"][0]["state"]) == ("postsync", "succeeded")
    assert "postsync" in typed(service, "syncs").stdout
    assert len(target.seen) == 1


def test_whatever_it_is_killed_in_each_hold_is_told(service: Service, target: Target) -> None:
    """As soon as one plan is held all processes are killed, and again after the next start."""
    text = service.rules.read_text().replace("every: 5m", "every: 1s").replace("key: all", "key: x")
    service.rules.write_text(text.replace("syncs.size() == 1 ?", "true ?"))
    service.kill()
    service.start()
    for number in range(8):
        send(service, f"app-{number}")
    for more in (1, 4):
        wait_for(partial(holds, service, more), 20, "held plans")
        service.kill()
        service.start()
    own = "SELECT COUNT(*), COUNT(DISTINCT application) FROM syncs WHERE channel = 'postsync'"
    wait_for(lambda: service.query(own) == [(8, 8)], 20, "all to be told")
    ended = "SELECT COUNT(*) FROM plans WHERE rule = 'ask-for-an-approval' AND ended_at IS NULL"

    def all_told() -> bool:
        covered = service.query(
            "SELECT COUNT(DISTINCT plan_syncs.sync_id) FROM plan_syncs "
            "JOIN plans ON plans.id = plan_id WHERE state = 'succeeded'"
        )
        return covered == [(8,)] and service.query(ended) == [(0,)]

    wait_for(all_told, 30, "the messages")
    assert target.seen


def test_what_nobody_approves_is_told_again_and_cancelled(tmp_path: Path, target: Target) -> None:
    """It is killed between the two; a retry does it after all."""
    rules = rules_of(target, BRIEF).replace("every: 5m", "every: 100ms")
    with started(tmp_path, rules) as service:
        plan = plan_of(service, send(service, "shop"))
        wait_for(lambda: len(target.seen) == 1, 20, "the message")
        shown = typed(service, "show", plan["sync"]).stdout
        wait_for(lambda: len(target.seen) == 2, 20, "the second one")
        service.kill()
        service.start()
        story = service.ended(plan["sync"])
        first, second = messages(target)
        why = "waits to be approved within 8s; postsync approve"
        assert first.startswith(f"promote of shop is held: {why}")
        (expiring,) = (line for line in story["events"] if line["event"] == "run.expiring")
        ends = expiring["expires"]
        assert second.startswith(f"promote of shop is cancelled at {ends} unless approved: {why}")
        assert f"until {ends}" in " ".join(shown.split())
        (run,) = story["plans"][0]["runs"]
        assert run["reason"] == "cancelled by Postsync itself: nobody approved it within 8s"
        assert "nobody approved it within 8s" in typed(service, "show", plan["sync"]).stdout
        assert typed(service, "retry", run["id"], "--yes").returncode == 0
        wait_for(
            lambda: service.story(plan["sync"])["plans"][0]["state"] == "succeeded", 20, "the retry"
        )
