"""What an expression can be seen to ask of a resource's annotations."""

from __future__ import annotations

import json

import pytest
from planning import planner_of

from receiver.rules.matching.questions import Asks, asks_of

RULES = """
- name: one
  match: {resources: [{kind: ConfigMap}], condition: CONDITION}
  actions: [{uses: log.message, with: {text: hello}}]
- name: two
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: TEXT}}]
"""


def asked(expression: str) -> list[Asks]:
    """What two rules ask, which have it as a condition and within a text."""
    text = json.dumps("${{ string(" + expression + ") }}")
    condition = json.dumps(f"string({expression}) == 'a'")
    rules = RULES.replace("CONDITION", condition).replace("TEXT", text)
    return [one for rule in planner_of(rules).rule_set.rules for one in asks_of(rule)]


@pytest.mark.parametrize(
    "expression",
    [
        "resource.annotations['example.com/note']",
        'resource.annotations["example.com/note"]',
        "resource['annotations']['example.com/note']",
        "resource.annotations[?'example.com/note'].orValue('')",
        "resource.?annotations[?'example.com/note'].orValue('')",
        "'example.com/note' in resource.annotations",
        "resource.annotations['example.com/note'].startsWith('a')",
    ],
)
def test_a_name_is_seen(expression: str) -> None:
    """However it is written."""
    assert asked(expression) == [Asks(annotations=frozenset({"example.com/note"}))] * 2


@pytest.mark.parametrize(
    "expression", ["resource.annotations.note", "resource.annotations.?note.orValue('')"]
)
def test_a_name_after_a_dot_is_seen(expression: str) -> None:
    """As a field of it."""
    assert asked(expression) == [Asks(annotations=frozenset({"note"}))] * 2


@pytest.mark.parametrize(
    "expression",
    [
        "resource.annotations[resource.name]",
        "resource.annotations['a' + 'b']",
        "resource.annotations.exists(name, name == 'a')",
        "size(resource.annotations)",
        "[resource.annotations].map(one, one['note'])",
        "resource.name in resource.annotations",
    ],
)
def test_where_no_name_is_seen_all_are_asked_for(expression: str) -> None:
    """Rather too much than too little."""
    assert asked(expression) == [Asks(every_annotation=True)] * 2


def test_labels_and_annotations_are_asked_for_together() -> None:
    """And those of an Application are its own."""
    both = "resource.labels.a + resource.annotations.b + application.labels.c"
    assert asked(both) == [Asks(labels=True, annotations=frozenset({"b"}))] * 2
