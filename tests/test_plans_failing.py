"""A plan that fails before its first wave: what it has waited for is not there."""

from __future__ import annotations

from house import House, texts

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.plan import read_plans, select_plans
from receiver.ledger.plans.start import fail_unstarted

RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  onNewer: supersede
  debounce: {window: 30s}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
  onFailure: [{uses: log.message, with: {text: "${{ failure.message }}"}}]
"""


def fail(house: House, plan: str, why: str) -> None:
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        (found,) = read_plans(connection, select_plans().where(tables.plans.c.id == plan))
        fail_unstarted(uow, found, why)
        uow.finish()


def test_only_on_failure_runs(ledger: Ledger) -> None:
    """It has the reason, and so has the plan at its end."""
    house = House.of(ledger, RULE)
    house.sync("a")
    fail(house, house.plans("id")[0], "argocd/blog is missing")
    assert texts(house.work()) == ["argocd/blog is missing"]
    assert house.plans("state, reason") == [("failed", "argocd/blog is missing")]
    assert house.runs() == ["skipped", "succeeded"]


def test_it_supersedes_nothing(ledger: Ledger) -> None:
    """It does not do what an older plan would have done."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.pass_time(31)
    house.turn()
    house.sync("a", at=60)
    fail(house, house.plans("id")[1], "argocd/blog is missing")
    assert texts(house.work()) == ["a", "argocd/blog is missing"]
    assert house.plans() == ["succeeded", "failed"]
