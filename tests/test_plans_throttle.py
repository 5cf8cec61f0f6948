"""`throttle`: the first sync has its plan at once, those soon after it share one."""

from __future__ import annotations

from contextlib import closing

import pytest
from house import House, texts

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.clock_shift import shift_times
from receiver.ledger.retention.job import RetentionJob
from receiver.ledger.retention.policy import Policy

RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  throttle: {every: 1m}
  actions:
  - uses: log.message
    target: batch
    with: {text: "${{ resources.map(r, r.name).join(' ') }} of ${{ syncs.size() }}"}
"""


def test_the_first_starts_at_once_and_the_rest_of_the_window_at_its_end(ledger: Ledger) -> None:
    """No sync puts the end off, and none is lost."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    assert texts(house.work()) == ["a of 1"]
    for number in range(3):
        house.pass_time(10)
        house.sync(f"c{number}", at=number + 1)
        assert house.work() == []
    assert house.plans() == ["succeeded", "collecting"]
    house.pass_time(31)
    assert texts(house.work()) == ["c0 c1 c2 of 3"]


def test_the_plan_at_the_end_begins_a_window_of_its_own(ledger: Ledger) -> None:
    """A stream of syncs has one plan for each window; after a quiet one the next is at once."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.sync("b", at=1)
    house.pass_time(61)
    assert texts(house.work()) == ["a of 1", "b of 1"]
    house.sync("c", at=2)
    assert house.work() == []
    house.pass_time(61)
    assert texts(house.work()) == ["c of 1"]
    house.pass_time(61)
    house.sync("d", at=3)
    assert texts(house.work()) == ["d of 1"]


def test_syncs_of_one_turn_are_one_plan_at_once_and_one_at_the_end(ledger: Ledger) -> None:
    """Though all of them are planned in one transaction."""
    house = House.of(ledger, RULE)
    house.plan([house.store(f"c{number}", at=number) for number in range(4)])
    assert texts(house.work()) == ["c0 of 1"]
    house.pass_time(61)
    assert texts(house.work()) == ["c1 c2 c3 of 3"]


def test_applications_are_apart_unless_a_key_says_otherwise(ledger: Ledger) -> None:
    """As with debounce."""
    house = House.of(ledger, RULE)
    house.sync("a", application="shop")
    house.sync("b", application="blog", at=1)
    assert texts(house.work()) == ["a of 1", "b of 1"]
    house.use(RULE.replace("every: 1m", 'every: 1m, key: "${{ application.project }}"'))
    house.sync("c", application="shop", at=2)
    house.sync("d", application="blog", at=3)
    assert texts(house.work()) == ["c of 1"]


def test_who_waits_says_why_and_until_when(ledger: Ledger) -> None:
    """In lists and stories, and on the trail."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.sync("b", at=1)
    plan, _ = Reader(house.ledger).plans(limit=10)
    assert plan["waitsFor"].startswith("its turn, until ")
    assert plan["waitsFor"].endswith(": throttle lets one plan begin every 1m")
    (told,) = house.events("plan.collecting")
    assert told["reason"] == "throttle lets one plan begin every 1m"


def test_an_approved_plan_starts_before_its_time_and_the_window_counts_from_it(
    ledger: Ledger,
) -> None:
    """Else two would begin within one window."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.sync("b", at=1)
    house.pass_time(40)
    (plan,) = house.query("SELECT id FROM plans WHERE state = 'collecting'")
    house.approve(plan)
    house.sync("c", at=2)
    assert texts(house.work()) == ["a of 1", "b of 1"]
    house.pass_time(30)
    assert house.work() == []
    house.pass_time(31)
    assert texts(house.work()) == ["c of 1"]


def test_a_first_plan_with_too_many_targets_is_held(ledger: Ledger) -> None:
    """To begin at once is no way around an approval."""
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 1}}\n")
    house.sync("a", "b", at=0)
    house.sync("c", at=1)
    assert house.plans() == ["held", "collecting"]


def test_a_window_outlives_the_process(file_ledger: SqliteLedger) -> None:
    """It is in the ledger alone."""
    house = House.of(file_ledger, RULE)
    house.sync("a", at=0)
    assert texts(house.work()) == ["a of 1"]
    with closing(open_ledger(file_ledger.path)) as ledger:
        again = House.of(ledger, RULE)
        again.sync("b", at=1)
        assert (again.work(), again.plans()) == ([], ["succeeded", "collecting"])


def test_a_clock_that_is_set_moves_the_window(ledger: Ledger) -> None:
    """As it moves the plan that waits for its end."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    before = house.query("SELECT ends_at FROM throttle_windows")[0]
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        shift_times(uow, -3_600_000)
        uow.finish()
    assert house.query("SELECT ends_at FROM throttle_windows") == [before - 3_600_000]


@pytest.mark.parametrize(("waits", "left"), [(False, 0), (True, 1)])
def test_retention_deletes_windows_that_have_ended(ledger: Ledger, waits: bool, left: int) -> None:
    """But none that a plan waits for, however late it starts."""
    house = House.of(ledger, RULE)
    house.sync("a", at=0)
    house.work()
    if waits:
        house.sync("b", at=1)
    policy = Policy(keep_for=86_400, keep_syncs=1_000, max_age=3_600)
    for count in (1, left):
        for _ in RetentionJob(house.ledger, policy).slices():
            pass
        assert house.query("SELECT COUNT(*) FROM throttle_windows") == [count]
        house.pass_time(61)
