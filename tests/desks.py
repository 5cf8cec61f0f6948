"""Operators' acts in tests, over the dispatcher's work by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from house import House

from receiver.ledger.connect import Ledger
from receiver.ledger.operations.acts import Act
from receiver.ledger.operations.desk import Operations
from receiver.waves import after_failure

ANN = Act("ann", "mended")
BOB = Act("bob")

T = TypeVar("T")


def house_of(ledger: Ledger, rules: str) -> House:
    """A house with these rules in force."""
    return House.of(ledger, rules)


def desk(house: House) -> Operations:
    """The acts by the house's clock as it is turned now."""
    return Operations(house.ledger, lambda _at, _events: None, after_failure)


def run_of(house: House, action: str) -> str:
    """The id of the first run of an action."""
    return str(house.query(f"SELECT id FROM runs WHERE action = '{action}' ORDER BY id")[0])


def plan_of(house: House) -> str:
    """The id of the newest plan."""
    return str(house.plans("id")[-1])


def only(items: Sequence[T]) -> T:
    """The one item."""
    (item,) = items
    return item
