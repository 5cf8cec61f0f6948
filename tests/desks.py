"""Operators' acts in tests, over the dispatcher's work by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from house import House

from receiver.dispatcher.rule_sets import Reload, store_reload
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.common import Act
from receiver.ledger.operations.service import Operations
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat

ANN = Act("ann", "mended")
BOB = Act("bob")

T = TypeVar("T")

TWO = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1 ${{ resource.name }}"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
  onFailure:
  - {uses: log.message, with: {text: "failed"}}
"""
"""Two waves, and what is said when one fails."""


HOLDING = """
- name: call
  match: {resources: [{kind: ConfigMap, name: a*}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
- name: careful
  match: {resources: [{kind: ConfigMap, name: b*}]}
  limits: {maxTargets: 1}
  actions: [{uses: log.message, with: {text: held}}]
- name: ask
  match: {resources: [{kind: ConfigMap, name: c*}]}
  actions: [{uses: log.message, suspend: true, with: {text: held}}]
"""
"""What runs at once, a plan that may be held, and a run that is."""


def house_of(ledger: Ledger, rules: str) -> House:
    """A house with these rules in force."""
    return House.of(ledger, rules)


def live_house_of(ledger: Ledger, rules: str) -> House:
    """A house with these rules in force, and a dispatcher that is alive."""
    house = house_of(ledger, rules)
    put_in_force(house)
    with ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(ledger.now(connection)))
    return house


def desk(house: House) -> Operations:
    """The acts by the house's clock as it is turned now."""
    tells = OwnNotifications(None, reaches=True)
    return Operations(house.ledger, lambda _at, _events: None, tells)


def run_of(house: House, action: str) -> str:
    """The id of the first run of an action."""
    return str(house.query(f"SELECT id FROM runs WHERE action = '{action}' ORDER BY id")[0])


def plan_of(house: House) -> str:
    """The id of the newest plan."""
    return str(house.plans("id")[-1])


def put_in_force(house: House) -> None:
    """Write down which rules are in force, as the dispatcher does when it has loaded them."""
    with house.ledger.write() as connection:
        store_reload(connection, house.ledger.now(connection), Reload(house.planner))


def refuse_files(house: House, *mistakes: str) -> None:
    """Write down that newer files were refused, as the dispatcher does."""
    with house.ledger.write() as connection:
        store_reload(connection, house.ledger.now(connection), Reload(None, "\n".join(mistakes)))


def only(items: Sequence[T]) -> T:
    """The one item."""
    (item,) = items
    return item


def failed(house: House, *names: str, **options: Any) -> str:
    """A sync of which the first action fails for good, and its onFailure has told so."""
    sync = house.sync(*names, **options)
    house.end(*house.claim(), fails="answered 404")
    house.work()
    assert set(house.plans()) == {"failed"}
    return sync
