"""Runs on which the other side works: what is told of them, and what counts."""

from __future__ import annotations

import pytest
from house import House

from receiver.ledger.ledger import Ledger
from receiver.model import Json, Outcome, OutcomeKind

RULES = """\
- name: it
  match: {resources: [{kind: ConfigMap}]}
  deadline: 40s
  actions:
  - uses: log.message
    with: {text: x}
"""
STATE: Json = {"name": "j"}


def pending(why: str = "") -> Outcome:
    return Outcome(OutcomeKind.PENDING, why, state=STATE, delay=5)


@pytest.fixture
def house(ledger: Ledger) -> House:
    made = House.of(ledger, RULES)
    made.sync("c")
    return made


def ask(house: House, outcome: Outcome) -> None:
    """Ask again, when its time has come."""
    house.pass_time(6)
    house.answer(outcome, *house.claim())


def test_why_it_waits_is_its_reason(house: House) -> None:
    """As long as it is so."""
    house.answer(pending("no quota"), *house.claim())
    assert house.query("SELECT state, reason FROM runs") == [("pending", "no quota")]
    ask(house, pending())
    assert house.query("SELECT state, reason FROM runs") == [("pending", "")]


def test_why_it_waited_is_in_the_reason_when_its_deadline_passes(house: House) -> None:
    """That it took too long says nothing of what to mend."""
    house.answer(pending("no quota"), *house.claim())
    house.pass_time(41)
    house.answer(pending("no quota"), *house.claim())
    assert house.query("SELECT state, reason FROM runs") == [
        ("failed", "still pending after its deadline of 40 s: no quota")
    ]
