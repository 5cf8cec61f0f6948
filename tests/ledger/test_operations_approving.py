"""An operator approves what is held."""

from __future__ import annotations

import pytest
from desks import ANN, BOB, desk, house_of, only, plan_of
from house import texts

from receiver.core.errors import StateConflict
from receiver.ledger.engine.ledger import Ledger

HELD = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  concurrency: {key: one-at-a-time, limit: 1}
  limits: {maxTargets: 1, otherwise: hold}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
SUSPENDED = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {uses: log.message, suspend: true, with: {text: "${{ resource.name }}"}}
"""


def test_an_approved_plan_starts(ledger: Ledger) -> None:
    """Not before; the trail tells who has let it go on, and why."""
    house = house_of(ledger, HELD)
    house.sync("a", "b")
    assert house.work() == []
    shown, _ = desk(house).approve_plan(ANN, plan_of(house))
    assert shown["state"] == "active"
    assert texts(house.work()) == ["a", "b"]
    approved = only(house.events("plan.approved"))
    assert (approved["by"], approved["reason"]) == ("ann", "mended")


def test_an_approved_plan_waits_for_its_place(ledger: Ledger) -> None:
    """As any other plan of its concurrency key."""
    house = house_of(ledger, HELD)
    house.sync("a", "b")
    house.sync("c", at=60)
    shown, _ = desk(house).approve_plan(ANN, house.plans("id")[0])
    assert shown["state"] == "waiting"
    assert [event["event"] for event in house.events("plan.*")][1:] == [
        "plan.approved", "plan.waiting",
    ]  # fmt: skip
    assert texts(house.work()) == ["c", "a", "b"]


def test_a_plan_that_collects_starts_with_what_has_come(ledger: Ledger) -> None:
    """If that is too much for its `limits`, somebody has to approve that, too."""
    rules = HELD.replace("limits", "debounce: {window: 5m, maxWait: 9m}\n  limits")
    house = house_of(ledger, rules)
    house.sync("a")
    house.sync("b", at=9)
    shown, _ = desk(house).approve_plan(ANN, plan_of(house))
    assert (shown["state"], house.work()) == ("held", [])
    shown, _ = desk(house).approve_plan(ANN, plan_of(house))
    assert shown["state"] == "active"
    assert texts(house.work()) == ["a", "b"]


def test_an_approved_run_is_made(ledger: Ledger) -> None:
    """The others of its plan stay held."""
    house = house_of(ledger, SUSPENDED)
    house.sync("a", "b")
    assert house.work() == []
    shown = desk(house).approve_run(BOB, house.runs("id")[0])
    assert shown["state"] == "due"
    assert (texts(house.work()), house.runs()) == (["a"], ["succeeded", "held"])
    assert only(house.events("run.approved"))["by"] == "bob"


def test_a_plans_approval_lets_all_its_held_runs_go_on(ledger: Ledger) -> None:
    """Where each resource has one, nobody wants to name them one by one."""
    house = house_of(ledger, SUSPENDED)
    house.sync("a", "b", "c")
    desk(house).approve_run(ANN, house.runs("id")[0])
    _, runs = desk(house).approve_plan(ANN, plan_of(house))
    assert runs == house.runs("id")[1:]
    assert len(house.work()) == 3


def test_what_is_not_held_is_not_approved(ledger: Ledger) -> None:
    """The second of two operators is told what the first one's approval has made of it."""
    house = house_of(ledger, HELD)
    house.sync("a", "b")
    desk(house).approve_plan(ANN, plan_of(house))
    with pytest.raises(StateConflict, match="is active, and nothing of it is held"):
        desk(house).approve_plan(BOB, plan_of(house))
    house.turn()
    with pytest.raises(StateConflict, match="is due"):
        desk(house).approve_run(BOB, house.runs("id")[0])
    assert len(house.events("*.approved")) == 1
