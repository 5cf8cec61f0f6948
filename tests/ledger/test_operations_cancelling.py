"""An operator cancels."""

from __future__ import annotations

from typing import Any

import pytest
from desks import ANN, BOB, desk, house_of, only, plan_of, run_of
from house import House, texts

from receiver.core.errors import StateConflict, UnknownId
from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger

TWO = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1 ${{ resource.name }}"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
  onFailure:
  - {uses: log.message, with: {text: "failed: ${{ failure.message }}"}}
"""
KEYED = TWO.replace("  actions:", "  concurrency: {key: one-at-a-time, limit: 1}\n  actions:")
HELD = TWO.replace("  actions:", "  limits: {maxTargets: 1, otherwise: hold}\n  actions:")
COLLECTING = TWO.replace("  actions:", "  debounce: {window: 30s}\n  actions:")


def story(house: House, pattern: str) -> list[tuple[str, Any]]:
    return [(event["event"], event["by"]) for event in house.events(pattern)]


def test_a_cancelled_run_counts_as_a_failure(ledger: Ledger) -> None:
    """Later waves are skipped, and onFailure tells by whom it was cancelled, and why."""
    house = house_of(ledger, TWO)
    house.sync("a")
    shown = desk(house).cancel_run(ANN, run_of(house, "one"))
    assert (shown["state"], shown["reason"]) == ("cancelled", "cancelled by ann: mended")
    assert texts(house.work()) == ["failed: cancelled by ann: mended"]
    assert (house.runs()[:2], house.plans()) == (["cancelled", "skipped"], ["failed"])


@pytest.mark.parametrize("kind", [OutcomeKind.SUCCEEDED, OutcomeKind.TEMPORARY])
def test_what_comes_of_a_cancelled_attempt_is_not_written(
    ledger: Ledger, kind: OutcomeKind
) -> None:
    """The trail says what came, and why it does not count."""
    house = house_of(ledger, TWO)
    house.sync("a")
    running = only(house.claim())
    desk(house).cancel_run(BOB, running.id)
    house.answer(Outcome(kind, "busy", output={"done": True}), running)
    assert house.runs("state, output")[0] == ("cancelled", None)
    assert house.query("SELECT outcome FROM attempts") == ["cancelled"]
    late = only(house.events("attempt.superseded"))
    assert late["reason"] == "cancelled by bob before its outcome was written"
    assert late["outcome"] == kind.value


def test_a_late_outcome_is_not_taken_for_that_of_the_retry(ledger: Ledger) -> None:
    """Cancelled and retried, the run is running again, in another attempt with another key."""
    house = house_of(ledger, TWO)
    house.sync("a")
    first = only(house.claim())
    desk(house).cancel_run(ANN, first.id)
    desk(house).retry(ANN, first.id)
    again = next(run for run in house.claim() if run.id == first.id)
    assert (again.attempt, again.key_number) == (2, 2)
    house.end(first)
    assert house.runs()[0] == "running"
    house.end(again)
    assert house.runs()[0] == "succeeded"


def test_a_plan_begins_whose_run_was_cancelled_while_it_waited(ledger: Ledger) -> None:
    """Although both the cancelled run and the end of the plan before it are news of one turn."""
    house = house_of(ledger, KEYED.partition("  onFailure:")[0])
    house.sync("a")
    house.sync("b", "c", at=1)
    assert house.plans() == ["active", "waiting"]
    first, second = house.query("SELECT id FROM runs WHERE target LIKE '%/a' OR target LIKE '%/b'")
    desk(house).cancel_run(ANN, first)
    desk(house).cancel_run(ANN, second)
    assert texts(house.work()) == ["1 c"]
    assert house.plans() == ["failed", "failed"]


@pytest.mark.parametrize(
    ("rules", "runs"), [(TWO, 3), (KEYED, 3), (HELD, 3), (COLLECTING, 0)], ids=["r", "k", "h", "c"]
)
def test_a_plan_is_cancelled_whatever_it_waits_for(ledger: Ledger, rules: str, runs: int) -> None:
    """With all that is open of it, and without onFailure."""
    house = house_of(ledger, rules)
    house.sync("a", "b")
    shown, cancelled = desk(house).cancel_plan(ANN, plan_of(house))
    assert (shown["state"], len(cancelled.runs)) == ("cancelled", runs)
    house.pass_time(3600)
    assert house.work() == []
    assert (house.plans(), set(house.runs()) <= {"cancelled"}) == (["cancelled"], True)
    assert story(house, "*.cancelled") == [("run.cancelled", "ann")] * runs + [
        ("plan.cancelled", "ann")
    ]


def test_the_place_of_a_cancelled_plan_goes_to_the_next(ledger: Ledger) -> None:
    """As if it had ended by itself."""
    house = house_of(ledger, KEYED)
    house.sync("a")
    house.sync("b", at=60)
    assert house.plans() == ["active", "waiting"]
    desk(house).cancel_plan(ANN, house.plans("id")[0])
    assert house.plans() == ["cancelled", "active"]
    assert texts(house.work()) == ["1 b", "2"]


def test_a_sync_is_cancelled_with_all_its_plans(ledger: Ledger) -> None:
    """Those that have ended stay as they are."""
    house = house_of(ledger, TWO + TWO.replace("- name: r", "- name: other"))
    sync = house.sync("a")
    ended, still_open = house.plans("id")
    desk(house).cancel_plan(BOB, ended)
    assert desk(house).cancel_sync(ANN, sync).plans == (still_open,)
    assert story(house, "plan.*") == [("plan.cancelled", "bob"), ("plan.cancelled", "ann")]
    with pytest.raises(StateConflict, match="no plan of it is open"):
        desk(house).cancel_sync(ANN, sync)


def test_a_sync_that_a_newer_one_has_collected_names_that_plan(ledger: Ledger) -> None:
    """Cancelling it would take the newer one's work along: that is for the operator to say."""
    house = house_of(ledger, COLLECTING)
    older = house.sync("a")
    house.sync("b", at=10)
    with pytest.raises(StateConflict) as raised:
        desk(house).cancel_sync(ANN, older)
    assert plan_of(house) in raised.value.hint


def test_what_has_ended_is_not_cancelled(ledger: Ledger) -> None:
    """A second cancel is told that the first one worked."""
    house = house_of(ledger, TWO)
    house.sync("a")
    desk(house).cancel_plan(ANN, plan_of(house))
    with pytest.raises(StateConflict, match="it is cancelled"):
        desk(house).cancel_plan(ANN, plan_of(house))
    with pytest.raises(StateConflict, match="it is cancelled"):
        desk(house).cancel_run(ANN, run_of(house, "one"))
    assert len(house.events("*.cancelled")) == 3


@pytest.mark.parametrize("kind", ["run", "plan", "sync"])
def test_what_is_unknown_is_told(ledger: Ledger, kind: str) -> None:
    """By its kind and id."""
    act = getattr(desk(house_of(ledger, TWO)), f"cancel_{kind}")
    with pytest.raises(UnknownId, match=f"there is no {kind} x-1"):
        act(ANN, "x-1")


def test_a_cancelled_run_that_was_not_rendered_waits_for_its_wave_again(ledger: Ledger) -> None:
    """A retry of it does not go before the waves ahead of it."""
    house = house_of(ledger, TWO)
    house.sync("a")
    desk(house).cancel_run(ANN, run_of(house, "two"))
    shown = desk(house).retry(ANN, run_of(house, "two"))
    assert shown["state"] == "waiting"
    assert texts(house.work()) == ["1 a", "2"]
    assert house.plans() == ["succeeded"]
