"""A target is down for an hour: what an operator does about it, and what the trail tells of it.

The dispatcher and the web's doors are the real ones, in this process, so that the test can turn
the clock between two lives of the dispatcher.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from doors import AS_OPERATOR, AS_SENDER, Doors, build
from house import later
from notifications import notification, resource
from service import Target, wait_for
from sqlalchemy import text

from receiver.app.composition import dispatcher_over
from receiver.core.logs import configure_logs
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.settings.model import Settings

PURGE = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  retry: {{for: 30m, initialDelay: 1m, maxDelay: 1m}}
  actions:
  - name: purge
    uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}", zone: {zone}}}}}
  - name: warm
    uses: log.message
    wave: 1
    target: application
    with: {{text: warm}}
  onFailure:
  - {{uses: log.message, with: {{text: "gave up: ${{{{ failure.message }}}}"}}}}
"""
MINUTE = 60


class World:
    """One ledger with its clock, the doors, and the dispatcher while it lives."""

    def __init__(self, ledger: Ledger, home: Path, target: Target) -> None:
        self.ledger = ledger
        self.home = home
        self.target = target
        self.rules = home / "rules.yaml"
        self.write_rule(zone="old")
        self.web: Doors

    def write_rule(self, zone: str) -> None:
        self.rules.write_text(PURGE.format(url=self.target.url, zone=zone))

    @contextmanager
    def later(self, minutes: float = 0) -> Iterator[None]:
        """Let time pass while nothing runs, then start the dispatcher, as after a restart."""
        self.ledger = later(self.ledger, minutes * MINUTE)
        writer = IntakeWriter(self.ledger, lambda _at, _events: None)
        writer.start()
        self.web = build(self.ledger, self.home, writer)
        settings = Settings(home=self.home, rules=[self.rules], attempt_threads=4)
        log = configure_logs("json")
        dispatcher = dispatcher_over(self.ledger, settings, Wakeup(), log, "w-1")
        life = threading.Thread(target=dispatcher.run)
        life.start()
        try:
            yield
        finally:
            dispatcher.stop()
            life.join(20)
            writer.stop()
            assert not life.is_alive()

    def sync(self, name: str) -> str:
        body = notification(resource(name), application=f"app-{name}")
        answer = self.web.client.post("/v1/notifications", data=body, headers=AS_SENDER)
        assert answer.json
        return str(answer.json["sync"])

    def act(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = self.web.client.open(f"/v1{path}", method=method, json=body, headers=AS_OPERATOR)
        assert answer.status_code < 300, answer.text
        assert answer.json is not None
        return dict(answer.json)

    def query(self, statement: str) -> list[Any]:
        with self.ledger.read() as connection:
            rows = connection.execute(text(statement)).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def wait(self, statement: str, expected: list[Any]) -> None:
        wait_for(lambda: self.query(statement) == expected, 20, f"{statement} to be {expected}")

    def told(self, *names: str) -> list[str]:
        """The trail's events of these names, in order."""
        wanted = ", ".join(f"'{name}'" for name in names)
        return self.query(f"SELECT name FROM audit_events WHERE name IN ({wanted}) ORDER BY seq")


@pytest.fixture
def world(ledger: Ledger, tmp_path: Path, target: Target) -> World:
    return World(ledger, tmp_path, target)


STATES = "SELECT state FROM runs WHERE action = 'purge' ORDER BY rowid"


def test_an_hour_without_the_target(world: World) -> None:
    """Paused, mended, replayed, retried, resumed: all is done in the end, and told in order."""
    world.target.statuses = [503] * 100
    with world.later():
        dead = world.sync("a")
        world.wait("SELECT outcome FROM attempts", ["temporary"])
    with world.later(31):  # its 30 minutes are over
        world.wait("SELECT state FROM plans", ["failed"])
        tried = world.sync("b")
        world.wait(f"{STATES} LIMIT 1 OFFSET 1", ["due"])
        world.wait("SELECT COUNT(*) FROM attempts WHERE outcome = 'temporary'", [3])
        world.act("PUT", "/pauses/rules/purge", reason="the CDN is down")
        fresh = world.sync("c")
        world.wait("SELECT state FROM plans ORDER BY rowid", ["failed", "active", "active"])
    asked = len(world.target.seen)
    with world.later(60):  # the pause outlives the restart, and holds the deadlines
        assert world.act("GET", "/pauses")["pauses"][0]["reason"] == "the CDN is down"
        world.target.statuses = []
        world.write_rule(zone="new")
        world.act("POST", f"/syncs/{dead}/replay", rule="purge", reason="the zone was wrong")
        world.wait("SELECT state FROM replays", ["planned"])
        world.act("POST", "/runs/retry", rule="purge", since="3h")
        assert len(world.target.seen) == asked
        world.act("DELETE", "/pauses/rules/purge")
        world.wait("SELECT DISTINCT state FROM plans", ["succeeded"])
    bodies = [json.loads(call["body"]) for call in world.target.seen[asked:]]
    assert sorted((body["name"], body["zone"]) for body in bodies) == [
        ("a", "new"), ("a", "old"), ("b", "old"), ("c", "old"),
    ]  # fmt: skip
    assert world.told(
        "pause.set", "sync.replay_asked", "sync.replayed", "run.retried", "run.reopened",
        "pause.lifted",
    ) == [
        "pause.set", "sync.replay_asked", "sync.replayed", "run.retried", "run.reopened",
        "pause.lifted",
    ]  # fmt: skip
    _check_story(world, dead)
    for sync in (tried, fresh):
        story = world.act("GET", f"/syncs/{sync}")
        assert [plan["state"] for plan in story["plans"]] == ["succeeded"]


def _check_story(world: World, sync: str) -> None:
    """The story of the sync that failed, from the first failure to the end of both its plans."""
    story = world.act("GET", f"/syncs/{sync}")
    events = story["events"]
    names = [event["event"] for event in events]
    wanted = [
        "notification.accepted", "sync.planned", "rule.matched", "attempt.failed", "run.failed",
        "plan.failed", "sync.replay_asked", "sync.replayed", "rule.matched", "run.retried",
        "run.reopened", "attempt.succeeded", "plan.succeeded", "plan.succeeded",
    ]  # fmt: skip
    left = iter(names)
    assert all(name in left for name in wanted), names
    assert names.count("plan.failed") == 1
    who = {event["event"]: event["by"] for event in events if "by" in event}
    assert set(who) == {"sync.replay_asked", "sync.replayed", "run.retried", "run.reopened"}
    assert set(who.values()) == {"ann"}
    first, second = story["plans"]
    assert (first["state"], second["state"]) == ("succeeded", "succeeded")
    assert first["ruleSet"] != second["ruleSet"]
    assert [row["rule"] for row in story["explanation"]] == ["purge"]
