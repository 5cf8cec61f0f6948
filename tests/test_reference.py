"""The page of the handlers, and what `postsync handlers` says of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_handlers import say

from handlers import builtin
from receiver.contract import Handler, Rate
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.reference_page import example_rule, handlers_page, notes
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules


@pytest.mark.parametrize("handler", builtin(), ids=lambda handler: handler.name)
def test_the_rule_of_each_handlers_section_passes_check(
    handler: Handler[Any], tmp_path: Path
) -> None:
    """It can be copied as it stands."""
    (tmp_path / "rules.yaml").write_text(example_rule(handler))
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules


@pytest.mark.parametrize("handler", builtin(), ids=lambda handler: handler.name)
def test_each_handler_says_what_it_gives_to_later_actions(handler: Handler[Any]) -> None:
    """Nobody can guess the keys of an output."""
    assert dict(notes(handler, Registry.discover()))["Output"]


@pytest.mark.parametrize(
    ("example", "target"),
    [
        ('text: "${{ resource.name }}"', "resource"),
        ('text: "${{ resources.size() }}"', "batch"),
        ('text: "${{ application.name }}"', "application"),
    ],
)
def test_the_rule_acts_on_what_the_example_names(example: str, target: str) -> None:
    """An expression knows `resource` and `resources` in some targets alone."""
    assert f"    target: {target}\n" in example_rule(replace(say, example=example))


def test_what_is_known_of_a_handler_stands_before_its_parameters() -> None:
    """What it has nothing to say of is left out."""
    full = replace(
        say, extra="toy", permissions="None.", rate=Rate(0.5, 3), output="`a`.", errors="Many."
    )
    page = handlers_page(Registry([full]))
    facts = page.split("## toy.say")[1].split("| parameter")[0]
    assert [line for line in facts.splitlines() if line.startswith("**")] == [
        "**Needs:** the extra `toy`: `pip install '.[toy]'` in a clone of Postsync.",
        "**Least privilege:** None.",
        (
            "**Limit:** 30 attempts a minute and credential, 3 at once; the setting `rates` "
            "has the last word."
        ),
        "**Output:** `a`.",
        "**Errors:** Many.",
    ]
    assert "| [toy.say](#toysay) |" in page
    assert notes(say, Registry([say])) == []
