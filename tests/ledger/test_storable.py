"""What a service answers, whatever it is, can be stored on either engine and read again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from house import House
from hypothesis import given
from hypothesis import strategies as st
from stories import run_of

from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.core.storable import DEEPEST, TOO_DEEP, dumps, storable
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import EventFilters, Reader

RULE = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: hello}}]
"""
BAD = ["a\0b", "half \ud83d of a pair", "\udfff", "\0"]


@pytest.mark.parametrize("bad", BAD)
def test_the_trail_of_a_rule_is_read_whatever_its_services_have_said(
    ledger: Ledger, bad: str
) -> None:
    """In a reason, an output, a note: the character becomes one that says that there was one."""
    house = House.of(ledger, RULE)
    house.sync("a", "b")
    good, failed = house.claim()
    output: Json = {bad: [bad, float("nan")]}
    house.answer(Outcome(OutcomeKind.SUCCEEDED, output=output, notes=(bad,)), good)
    house.answer(Outcome(OutcomeKind.PERMANENT, reason=bad), failed)
    reader = Reader(ledger)
    page = reader.trail(EventFilters(rule="tell"), after=0, limit=100)
    said: dict[str, Any] = {event["event"]: event for event in page.events}
    wanted = storable(bad)
    assert (said["action.message"]["text"], said["run.failed"]["reason"]) == (wanted, wanted)
    told = run_of(reader, good.id)
    assert told
    assert told["output"] == {wanted: [wanted, None]}


def test_what_is_whole_stays_as_it_is() -> None:
    """An emoji is a pair, and a backslash before a u is no escape."""
    for text in ("\U0001f680", "\\u0000", "\\ud800", "ä\n\t"):
        assert json.loads(dumps({text: text})) == {text: text}
        assert storable(text) == text


def test_what_is_nested_too_deep_is_cut_there() -> None:
    """Its beginning is kept, and where it was cut says so."""
    tree: Any = "end"
    for _ in range(5_000):
        tree = [tree]
    kept = json.loads(dumps({"a": tree, "b": 1}))
    assert kept["b"] == 1
    inner = kept["a"]
    for _ in range(DEEPEST - 1):
        [inner] = inner
    assert inner == TOO_DEEP


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
)


@given(TREES)
def test_whatever_is_written_is_json_that_can_be_read_and_sent(tree: Any) -> None:
    """By a strict reader, in UTF-8, and without an escaped NUL."""
    text = dumps(tree)
    again = json.loads(text, parse_constant=pytest.fail)
    json.dumps(again, ensure_ascii=False).encode()
    assert "\0" not in json.dumps(again, ensure_ascii=False)
    assert dumps(again) == text
