"""The words of a rule file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.contract.durations import duration_text, seconds
from receiver.rules.loading.defaults import merge
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import Defaults, Retry, Rule


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("2d", 172800), ("0s", 0), (0, 0)],
)
def test_duration(text: object, value: float) -> None:
    """A duration is a number with a unit, or several."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "30", 30, "6 hours", "1.5h", "-1s", "s", None, False, "٣s1"])
def test_no_duration(text: object) -> None:
    """A number without a unit is refused: the unit would be a guess."""
    with pytest.raises(ValueError, match="is no duration; write a number with a unit"):
        seconds(text)


@given(st.integers(min_value=0, max_value=365 * 86_400_000))
def test_duration_text(milliseconds: int) -> None:
    """A duration that was written is read back as it was."""
    assert seconds(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_words() -> None:
    """One word may stand where a list of words may."""
    selector = ResourceMatch.model_validate({"change": "any", "kind": "ConfigMap"})
    assert (selector.change, selector.kind) == (("any",), ("ConfigMap",))


def test_defaults_are_known_from_what_was_given() -> None:
    """What was written can be told from a default of the same value."""
    assert Retry.model_validate({"for": "1h"}).model_fields_set == {"for_"}
    assert Retry.model_validate({}).model_fields_set == set()


def test_unnamed_actions_of_one_handler_are_numbered() -> None:
    """Around the names that are given, and each section for itself."""
    say = {"uses": "log.message"}
    named = {"uses": "log.message", "name": "log_message_2"}
    raw = {
        "name": "r", "match": {}, "actions": [say, named, say, say],
        "finally": [say, say], "onFailure": [say, say],
    }  # fmt: skip
    merged = merge(Rule.model_validate(raw), Defaults())
    assert [action.name for action in (*merged.actions, *merged.on_failure)] == [
        "log_message", "log_message_2", "log_message_3", "log_message_4",
        "finally_log_message", "finally_log_message_2",
        "on_failure_log_message", "on_failure_log_message_2",
    ]  # fmt: skip
