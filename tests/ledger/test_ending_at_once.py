"""A plan that has ended when it is stored, beside what else a turn stores."""

from __future__ import annotations

import pytest
from house import House

from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.load import new_syncs, stored_sync
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.plans.store import store_plannings
from receiver.notification.application_memory import Memory
from receiver.planning.planner import read_sync
from receiver.planning.retry import settle

RULES = """
- name: good
  match: {resources: [{kind: ConfigMap, name: good}]}
  actions: [{uses: log.message, with: {text: fine}}]
- name: broken
  match: {resources: [{kind: ConfigMap, name: broken}]}
  actions: [{uses: log.message, with: {text: "${{ 1 / 0 }}"}}]
- name: in-line
  match: {resources: [{kind: ConfigMap, name: in-line}]}
  concurrency: {key: one, limit: 1}
  actions: [{uses: log.message, with: {text: "${{ 1 / 0 }}"}}]
"""


@pytest.fixture
def house(ledger: Ledger) -> House:
    return House.of(ledger, RULES)


def test_it_ends_in_a_turn_in_which_another_plan_ends(house: House) -> None:
    """The other one is changed before this one is inserted, and by the same statement."""
    house.sync("good")
    (run,) = house.claim()
    house.store("broken", at=10)
    with house.ledger.read() as connection:
        stored = [stored_sync(connection, new.id) for new in new_syncs(connection, 10)]
    plannings = [house.planner.plan(read_sync(one), one.delivery, Memory()) for one in stored]
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        store_settlements(uow, "w-1", [settle(run, Outcome(OutcomeKind.SUCCEEDED), uow.now)])
        store_plannings(uow, plannings)
        uow.finish()
    assert house.plans("rule, state, ended_at IS NULL") == [
        ("good", "succeeded", False), ("broken", "failed", False),
    ]  # fmt: skip
    assert [event["rule"] for event in house.events("plan.failed")] == ["broken"]


def test_one_after_the_other_ends_where_there_is_one_slot(house: House) -> None:
    """Each frees it for the next."""
    for at in range(3):
        house.store("in-line", at=at)
    house.plan([])
    house.turn()
    assert house.plans() == ["failed"] * 3
