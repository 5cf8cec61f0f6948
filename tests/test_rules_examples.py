"""The rule files that we ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from notifications import resource
from planning import made_run, renderer, sync_of

from receiver.core.model import Json
from receiver.core.states import RunState
from receiver.core.storable import dumps
from receiver.ledger.plans.records import RunChange
from receiver.ledger.plans.run import Run
from receiver.planning.parameters import Scene
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.rules.schema.rule_file import Rule

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("folder", ["config/rules", "config/examples/rules"])
def test_check(folder: str) -> None:
    """Every rule that we ship passes `check`."""
    assert load_rules([ROOT / folder], Registry.discover(), Expressions()).rules


def test_first_steps_need_no_network() -> None:
    """What runs out of the box only writes to the log."""
    rules = load_rules([ROOT / "config/rules"], Registry.discover(), Expressions()).rules
    assert {action.uses for rule in rules for action in rule.actions} == {"log.message"}


@pytest.mark.parametrize(
    ("number", "places"), [(1, "c-0"), (3, "c-0, c-1, c-2"), (20_000, "c-0, c-1, c-2, ...")]
)
def test_the_sum_of_the_first_steps_holds_for_any_number(number: int, places: str) -> None:
    """It names the first few: neither the text nor its expressions grow with the resources."""
    (rule,) = load_rules([ROOT / "config/rules"], Registry.discover(), Expressions()).rules
    change = released(rule, "sum_up", number)
    assert (change.state, change.reason) == (RunState.DUE, "")
    keys = places.replace("c-", "ConfigMap/shop/c-")
    assert change.parameters == {"text": f"shop changed in {number} places: {keys}"}


def test_what_the_clean_up_says_holds_for_as_many_as_it_deletes() -> None:
    """A hundred objects with the longest names that there are."""
    folder = ROOT / "config/examples/rules/clean-up-after-a-failed-sync.yaml"
    (rule,) = load_rules([folder], Registry.discover(), Expressions()).rules
    earlier = [
        ended("jobs", {"deleted": ["j" * 253] * 100}),
        ended("page", {"deleted": ["shop-maintenance"]}),
    ]
    change = released(rule, rule.actions[-1].name, 1, earlier)
    assert change.parameters == {"text": "removed 100 Jobs and 1 ConfigMaps"}


def ended(action: str, output: Json) -> Run:
    return made_run(action=action, target="sync", state=RunState.SUCCEEDED, output=dumps(output))


def released(rule: Rule, action: str, number: int, earlier: Sequence[Run] = ()) -> RunChange:
    """What an action is given after a sync that changed so many ConfigMaps."""
    sync = sync_of(*(resource(f"c-{n}") for n in range(number)))
    scene = Scene.of(rule, [sync], [(sync.id, index) for index in range(number)])
    [wanted] = [one for one in rule.actions if one.name == action]
    run = made_run(action=action, target="application", wave=1)
    (change,) = renderer().release(scene, [(run, wanted)], earlier, None)
    return change
