"""Two workers race for one run: real threads, real transactions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import TypeVar

import pytest
from house import LEASE, House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import laws_broken

from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queue.claim import ClaimedRun

RULES = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
WELL, BADLY = Outcome(OutcomeKind.SUCCEEDED), Outcome(OutcomeKind.PERMANENT, reason="answered 404")

T = TypeVar("T")
delays = st.floats(min_value=0, max_value=0.004)
race = settings(
    max_examples=10, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture
def house(ledger: Ledger) -> House:
    """One ledger for all examples: each brings runs of its own."""
    return House.of(ledger, RULES)


@race
@given(runs=st.integers(1, 4), free=st.integers(1, 4), first=delays, second=delays)
def test_a_run_is_claimed_by_one_of_two_workers(
    house: House, runs: int, free: int, first: float, second: float
) -> None:
    """Both take what is due at the same time; no run has two owners, and none is left out."""
    house.sync(*(f"c{number}" for number in range(runs)), at=next_moment(house))
    house.turn()
    hers, his = together(
        after(first, lambda: beside(house).claim(free, owner="w-1")),
        after(second, lambda: beside(house).claim(free, owner="w-2")),
    )
    assert not {run.id for run in hers} & {run.id for run in his}
    half = (free + 1) // 2  # no lane gets more threads than it leaves free
    assert len(hers) + len(his) == min(runs, 2 * half)
    house.answer(WELL, *hers, owner="w-1")
    house.answer(WELL, *his, owner="w-2")
    house.work()
    assert (laws_broken(house), set(house.runs())) == ([], {"succeeded"})


@race
@given(first=delays, second=delays)
def test_an_outcome_and_a_take_over_exclude_each_other(
    house: House, first: float, second: float
) -> None:
    """Whoever is first has the run: the late outcome is not written, or nothing is taken over."""
    house.sync("c", at=next_moment(house))
    (run,) = house.claim(owner="w-1")
    house.pass_time(LEASE / 1000 + 1)
    _, taken = together(
        after(first, lambda: beside(house).answer(BADLY, run, owner="w-1")),
        after(second, lambda: take_over(beside(house))),
    )
    house.answer(WELL, *taken, owner="w-2")
    state, attempts = house.query(f"SELECT state, attempts FROM runs WHERE id = '{run.id}'")[0]
    assert (state, attempts) == (("succeeded", 2) if taken else ("failed", 1))
    told = [line for line in house.events("attempt.superseded") if line["run"] == run.id]
    assert len(told) == len(taken)
    assert laws_broken(house) == []


def next_moment(house: House) -> int:
    """When the next sync finishes: one of its own, since else it is a duplicate."""
    return int(house.query("SELECT COUNT(*) FROM syncs")[0])


def take_over(house: House) -> list[ClaimedRun]:
    """Look for what was lost, and take it."""
    house.beat("w-2")
    return house.claim(owner="w-2")


def beside(house: House) -> House:
    """The same ledger for another thread, its planner's expressions not shared."""
    other = House.of(house.ledger, RULES)
    other.sets = copy(house.sets)
    return other


def after(delay: float, act: Callable[[], T]) -> Callable[[threading.Barrier], T]:
    """Have an act done so many seconds after all are ready."""

    def start(ready: threading.Barrier) -> T:
        ready.wait(10)
        time.sleep(delay)
        return act()

    return start


def together(
    *acts: Callable[[threading.Barrier], list[ClaimedRun] | None],
) -> list[list[ClaimedRun]]:
    """Do them at the same time; what each has returned."""
    ready = threading.Barrier(len(acts))
    with ThreadPoolExecutor(len(acts)) as pool:
        return [done.result(30) or [] for done in [pool.submit(act, ready) for act in acts]]
