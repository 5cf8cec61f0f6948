"""`limits` and `suspend`: what waits for a person, and what is taken in parts."""

from __future__ import annotations

import pytest
from house import House, texts

from receiver.core.errors import StateConflict
from receiver.ledger.engine.ledger import Ledger

RULE = """
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  limits: {{maxTargets: 2, otherwise: {otherwise}}}
  actions:
  - name: each
    uses: log.message
    with: {{text: "${{{{ resource.name }}}}"}}
  - name: all
    uses: log.message
    target: batch
    wave: 1
    with: {{text: "${{{{ resources.map(r, r.name).join(' ') }}}}"}}
"""
HOLD, BATCH = RULE.format(otherwise="hold"), RULE.format(otherwise="batch")
SUSPEND = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: each, uses: log.message, suspend: true, with: {text: "${{ resource.name }}"}}
  - {name: all, uses: log.message, target: batch, wave: 1, with: {text: all}}
"""


def test_a_plan_with_too_many_targets_is_held(ledger: Ledger) -> None:
    """With its reason, its runs waiting; as many as the limit are not too many."""
    house = House.of(ledger, HOLD)
    house.sync("a", "b", at=1)
    held = house.sync("a", "b", "c", at=2)
    assert len(house.work()) == 3
    assert house.plans("state, reason")[1] == (
        "held", "matches 3 resources, more than maxTargets 2"
    )  # fmt: skip
    assert house.runs()[3:] == ["waiting"] * 4
    assert house.events("plan.held") == [
        {
            "event": "plan.held", "sync": held, "plan": house.plans("id")[1], "run": None,
            "rule": "purge", "reason": "matches 3 resources, more than maxTargets 2",
            "holds": [f"ConfigMap/shop/{name}" for name in "abc"],
        }
    ]  # fmt: skip


def test_a_held_plan_goes_on_when_it_is_approved(ledger: Ledger) -> None:
    """From its first wave, with all of its targets, and with no reason to wait any more."""
    house = House.of(ledger, HOLD)
    house.sync("a", "b", "c")
    house.approve(house.plans("id")[0])
    assert texts(house.work()) == ["a", "b", "c", "a b c"]
    assert house.plans("state, reason") == [("succeeded", "")]


def test_an_approval_of_what_is_not_held_changes_nothing(ledger: Ledger) -> None:
    """A second click starts nothing twice."""
    house = House.of(ledger, HOLD)
    house.sync("a", "b", "c")
    (plan,) = house.plans("id")
    house.approve(plan)
    with pytest.raises(StateConflict):
        house.approve(plan)
    assert len(house.work()) == 4
    with pytest.raises(StateConflict):
        house.approve(plan)
    assert house.work() == []


def test_a_held_plan_takes_no_place_and_joins_the_end_of_the_line(ledger: Ledger) -> None:
    """Others of its concurrency key go before it while it is held."""
    house = House.of(ledger, f"{HOLD}  concurrency: {{}}\n")
    house.sync("a", "b", "c", at=0)
    house.sync("d", at=1)
    house.sync("e", at=2)
    assert house.plans() == ["held", "active", "waiting"]
    house.approve(house.plans("id")[0])
    assert house.plans() == ["waiting", "active", "waiting"]
    assert texts(house.work()) == ["d", "d", "e", "e", "a", "b", "c", "a b c"]


def test_in_batches_so_many_targets_are_under_way_at_a_time(ledger: Ledger) -> None:
    """The next ones are released when the ones before have ended; then the next wave."""
    house = House.of(ledger, BATCH)
    house.sync("a", "b", "c", "d", "e")
    first, second = house.claim()
    house.end(first)
    assert (texts([first, second]), house.claim()) == (["a", "b"], [])
    house.end(second)
    batch = house.claim()
    assert texts(batch) == ["c", "d"]
    house.end(*batch)
    assert texts(house.work()) == ["e", "a b c d e"]
    assert [line["runs"] for line in house.events("wave.released")] == [2, 2, 1, 1]


def test_a_failure_ends_the_batches(ledger: Ledger) -> None:
    """What fails for two resources is not tried for three hundred."""
    house = House.of(ledger, BATCH)
    house.sync("a", "b", "c", "d")
    first, second = house.claim()
    house.end(first, fails="boom")
    house.end(second)
    assert house.work() == []
    why = "an earlier batch of wave 0 failed"
    assert house.runs("state, reason") == [
        ("failed", "boom"), ("succeeded", ""), ("skipped", why), ("skipped", why),
        ("skipped", "wave 0 failed"),
    ]  # fmt: skip
    assert house.plans() == ["failed"]


def test_with_continue_on_error_the_batches_go_on(ledger: Ledger) -> None:
    """As the waves do."""
    house = House.of(ledger, BATCH.replace("name: each", "name: each\n    continueOnError: true"))
    house.sync("a", "b", "c", "d")
    house.end(*house.claim(), fails="boom")
    assert texts(house.work()) == ["c", "d", "a b c d"]
    assert house.plans() == ["succeeded"]


def test_few_targets_are_no_batches(ledger: Ledger) -> None:
    """A plan within the limit runs as ever."""
    house = House.of(ledger, BATCH)
    house.sync("a", "b")
    assert texts(house.claim()) == ["a", "b"]


def test_a_suspended_action_s_runs_are_rendered_and_held(ledger: Ledger) -> None:
    """So that whoever approves sees what will be sent."""
    house = House.of(ledger, SUSPEND)
    house.sync("a", "b")
    assert house.work() == []
    assert house.runs("state, reason, parameters, first_attempt_at") == [
        ("held", "waits to be approved", '{"text":"a"}', None),
        ("held", "waits to be approved", '{"text":"b"}', None),
        ("waiting", "", None, None),
    ]
    told = house.events("run.held")
    assert [(line["target"], line["parameters"]) for line in told] == [
        ("ConfigMap/shop/a", {"text": "a"}), ("ConfigMap/shop/b", {"text": "b"})
    ]  # fmt: skip


def test_an_approval_of_the_plan_is_one_of_all_its_held_runs(ledger: Ledger) -> None:
    """They are due, and the next wave waits for them; the deadline begins with the attempt."""
    house = House.of(ledger, SUSPEND)
    house.sync("a", "b")
    house.pass_time(86_400)
    house.approve(house.plans("id")[0])
    runs = house.claim()
    assert texts(runs) == ["a", "b"]
    house.end(*runs, fails="503", temporary=True)
    assert set(house.runs()[:2]) == {"due"}
    house.pass_time(10)
    assert texts(house.work()) == ["a", "b", "all"]


@pytest.mark.parametrize("mode", ["run", "observe"])
def test_what_only_observes_is_not_held_by_suspend(ledger: Ledger, mode: str) -> None:
    """It sends nothing, so there is nothing to approve."""
    house = House.of(ledger, f"{SUSPEND}  mode: {mode}\n")
    house.sync("a")
    assert house.plans() == (["active"] if mode == "run" else ["succeeded"])
