"""All lines of the trail, and all counts, of one sync on its way through a dispatcher."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import wait_for
from sqlalchemy import text
from test_hanging import House

from receiver.app.composition import dispatcher_over
from receiver.core.logs import configure_logs
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.settings.model import Settings

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: each, uses: log.message, with: {text: "${{ resource.name }}"}}
  - {name: all, uses: log.message, wave: 1, target: application, with: {text: done}}
"""
Line = tuple[str, int | None, dict[str, Any]]

SYNC = {"application": "argocd/shop", "resources": 2, "rules": 1, "matched": 1}
TARGETS = [
    {
        "resource": f"ConfigMap/shop/{name}",
        "reason": f"resources[0]: ConfigMap shop/{name} changed (configured)",
    }
    for name in "01"
]


def attempt(action: str, target: str, said: str) -> list[Line]:
    """What is told of an attempt; it is told as started first."""
    run = {"rule": "tell", "action": action, "handler": "log.message", "target": target}
    return [
        ("attempt.started", 1, run),
        ("action.message", 1, run | {"text": said}),
        ("attempt.succeeded", 1, run),
    ]


FIRST, SECOND = (attempt("each", f"ConfigMap/shop/{name}", name) for name in "01")
STORY = [
    ("sync.planned", None, SYNC),
    ("rule.matched", None, {"rule": "tell", "mode": "run", "runs": 3, "targets": TARGETS}),
    ("wave.released", None, {"rule": "tell", "wave": 0, "runs": 2}),
    FIRST[0], SECOND[0], *FIRST[1:], *SECOND[1:],
    ("wave.released", None, {"rule": "tell", "wave": 1, "runs": 1}),
    *attempt("all", "application", "done"),
    ("plan.succeeded", None, {"rule": "tell"}),
]  # fmt: skip
COUNTS = {
    ("attempts_total", '{"handler": "log.message", "outcome": "succeeded"}'): 3,
    ("runs_ended_total", '{"handler": "log.message", "state": "succeeded"}'): 3,
    ("attempt_seconds_count", '{"handler": "log.message"}'): 3,
    **{
        ("events_total", json.dumps({"event": name})): sum(line[0] == name for line in STORY)
        for name in {line[0] for line in STORY}
    },
}


@pytest.fixture
def house(ledger: Ledger, tmp_path: Path) -> Iterator[House]:
    """A dispatcher that begins when the sync is stored."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    settings = Settings(home=tmp_path, rules=[rules])
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    dispatcher = dispatcher_over(ledger, settings, Wakeup(), configure_logs("json"), "w-1")
    made = House(ledger, dispatcher, writer)
    writer.start()
    made.send("shop", 2)
    made.life.start()
    try:
        yield made
    finally:
        dispatcher.stop()
        made.life.join(20)
        writer.stop()
        assert not made.life.is_alive()


def test_a_sync_with_two_waves_has_these_lines_and_these_counts(house: House) -> None:
    """However statements are gathered, what is told and counted stays the same, and so its order.

    Two attempts of one wave may end in either order.
    """
    wait_for(lambda: lines(house)[-1:] == STORY[-1:], 20, "the plan's end")
    told = lines(house)
    ends = slice(STORY.index(FIRST[1]), STORY.index(SECOND[-1]) + 1)
    told[ends] = sorted(told[ends], key=lambda line: str(line[2].get("target")))
    assert told == STORY
    with house.ledger.read() as connection:
        rows = connection.execute(text("SELECT name, labels, value FROM counters")).all()
    counted = {(name, labels): value for name, labels, value in rows}
    assert {key: counted.get(key) for key in COUNTS} == COUNTS


def lines(house: House) -> list[Line]:
    """The lines since the sync was stored, without their ids and times."""
    query = "SELECT name, attempt, data FROM audit_events WHERE sync_id IS NOT NULL ORDER BY seq"
    with house.ledger.read() as connection:
        rows = connection.execute(text(query)).all()
    return [(row.name, row.attempt, _lasting(json.loads(row.data))) for row in rows[1:]]


def _lasting(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in {"seconds", "ruleSet"}}
