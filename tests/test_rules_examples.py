"""The rule files that we ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.expressions import Expressions
from receiver.registry import Registry
from receiver.rulebook import load_rules

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("folder", ["config/rules", "config/examples/rules"])
def test_check(folder: str) -> None:
    """Every rule that we ship passes `check`."""
    assert load_rules([ROOT / folder], Registry.discover(), Expressions()).rules


def test_first_steps_need_no_network() -> None:
    """What runs out of the box only writes to the log."""
    rules = load_rules([ROOT / "config/rules"], Registry.discover(), Expressions()).rules
    assert {action.uses for rule in rules for action in rule.actions} == {"log.message"}
