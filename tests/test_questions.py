"""What an expression can be seen to ask of a resource's annotations."""

from __future__ import annotations

import json

import pytest
from matching_cases import sync
from planning import planner_of

from receiver.core.model import Application
from receiver.rules.matching.questions import Asks, asks_of, asks_of_images

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


def asks_images(expression: str) -> list[bool]:
    """Whether two rules ask of images, which have it as a condition and within a text."""
    text = json.dumps("${{ string(" + expression + ") }}")
    condition = json.dumps(f"string({expression}) == 'a'")
    rules = RULES.replace("CONDITION", condition).replace("TEXT", text)
    return [asks_of_images(rule) for rule in planner_of(rules).rule_set.rules]


@pytest.mark.parametrize(
    "expression",
    [
        "resource.imageChanged",
        "resource.?imageChanged.orValue(false)",
        "resource['imageChanged']",
        "resource['image' + 'Changed']",
        "[resource].map(one, one.imageChanged)",
        "resource",
    ],
)
def test_who_names_images_or_a_whole_resource_asks_of_images(expression: str) -> None:
    """Rather too often than too seldom: what nobody asks for is not compared."""
    assert asks_images(expression) == [True, True]


def test_who_names_other_fields_of_a_resource_does_not() -> None:
    """As most rules."""
    assert asks_images("resource.name + resource.images[0] + sync.id") == [False, False]


@pytest.mark.parametrize(
    ("match", "action", "asks"),
    [
        ("imageChanged: true", "with: {text: x}", True),
        ("imageChanged: false", "with: {text: x}", True),
        ("image: 'a:*'", "with: {text: imageChanged}", False),
        ("kind: A", "if: resource.imageChanged, with: {text: x}", True),
        ("kind: A", "target: batch, with: {text: '${{ resources[0].name }}'}", True),
        ("kind: A", "wave: 2, with: {text: x}", False),
    ],
)
def test_a_selector_or_an_action_asks_of_images(match: str, action: str, *, asks: bool) -> None:
    """Wherever it stands; a text without an expression asks for nothing."""
    text = f"""
- name: one
  match: {{resources: [{{{match}}}]}}
  actions: [{{uses: log.message, {action}}}]
"""
    (rule,) = planner_of(text).rule_set.rules
    assert asks_of_images(rule) is asks


def test_a_rule_of_another_application_asks_nothing_of_this_one() -> None:
    """Its images are compared for the Applications that it may match."""
    planner = planner_of("""
- name: one
  match: {application: {name: a-*}, resources: [{kind: ConfigMap, imageChanged: true}]}
  actions: [{uses: log.message, with: {text: x}}]
""")
    assert planner.matcher.asks_of_images(sync(application=Application("a-1")))
    assert not planner.matcher.asks_of_images(sync(application=Application("b-1")))
