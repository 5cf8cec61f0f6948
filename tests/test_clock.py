"""A clock that is set while runs wait for their time."""

from __future__ import annotations

from house import House

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queue.clock_shift import ClockWatch, shift_times

HOUR = 3600
RULES = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {uses: log.message, with: {text: x}}
"""


def test_a_jump_is_told_from_time_that_passed() -> None:
    """And from what a clock is put right by, now and then."""
    clock = ClockWatch()
    assert clock.restart(1_000_000) == 0
    assert clock.restart(1_000_010) == 0
    assert clock.restart(1_030_000) == 0
    assert abs(clock.restart(4_630_000) - 3_600_000) < 1000
    assert abs(clock.restart(1_030_000) + 3_600_000) < 1000
    assert clock.restart(1_030_001) == 0


def test_what_waits_for_a_time_does_not_wait_for_the_clock_to_catch_up(ledger: Ledger) -> None:
    """Set back by an hour, the next attempt comes when it would have come."""
    house = House.of(ledger, RULES)
    house.sync("a")
    house.end(*house.claim(), fails="503", temporary=True)
    house.pass_time(-HOUR)
    house.pass_time(10)
    assert house.claim() == []
    jump(house, -HOUR)
    assert len(house.claim()) == 1
    (told,) = house.events("clock.jumped")
    assert told["seconds"] == -HOUR


def test_a_deadline_does_not_pass_because_the_clock_was_set(ledger: Ledger) -> None:
    """Set forward by a day, a run has as much time left as before."""
    house = House.of(ledger, RULES)
    house.sync("a")
    house.end(*house.claim(), fails="503", temporary=True)
    house.pass_time(24 * HOUR)
    jump(house, 24 * HOUR)
    house.pass_time(10)
    house.end(*house.claim(), fails="503", temporary=True)
    assert house.runs() == ["due"]


def jump(house: House, seconds: int) -> None:
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        shift_times(uow, seconds * 1000)
        uow.finish()
