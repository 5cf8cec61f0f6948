"""Paths to fields of objects: what is one, what is there, and how one that is none is told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.kubernetes.field_paths import LONGEST, Steps, parse_path, value_at

OBJECT: Any = {
    "data": {"nginx.conf": "events {}", 'a"b': "1"},
    "spec": {"containers": [{"image": "a", "args": ["x", "y"]}, {"image": "b"}]},
}
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('data["nginx.conf"]', "events {}"),
        ('data["a\\"b"]', "1"),
        ("spec.containers[*].image", ["a", "b"]),
        ("spec.containers[*].args[0]", ["x", None]),
        ("spec.containers[*].args[*]", [["x", "y"], None]),
        ("spec.containers[1].image", "b"),
        ("spec.containers[2].image", None),
        ("spec.containers.image", None),
        ("spec[0]", None),
        ("data[*]", None),
        ("spec.none.of.these", None),
    ],
)
def test_what_is_there(path: str, value: Any) -> None:
    """Null where nothing is; beyond a `[*]` a list of all, with their gaps."""
    assert value_at(OBJECT, parse_path(path)) == value


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", "at its beginning"),
        (".data", "at its beginning"),
        ("$.data", "at its beginning"),
        ("[0].data", "at its beginning"),
        ("data.", "at '.'"),
        ("data..a", "at '..a'"),
        ("data.nginx.conf[", "at '['"),
        ("data['a']", "at \"['a']\""),
        ("data[a]", "at '[a]'"),
        ("data[-1]", "at '[-1]'"),
        ("data[0:2]", "at '[0:2]'"),
        ("data[?(@.a)]", "at '[?(@.a)]'"),
        ('data[""]', "at '[\"\"]'"),
        ("data.*", "at '.*'"),
        ("data [0]", "at ' [0]'"),
        ("data[0]a", "at 'a'"),
        ("data.ä", "at '.ä'"),
    ],
)
def test_what_is_no_path_is_told_with_the_place(path: str, place: str) -> None:
    """And with how one is written."""
    with pytest.raises(ValueError, match="is no path") as error:
        parse_path(path)
    assert f"is no path {place}; write names with dots" in str(error.value)


def test_a_path_has_an_end() -> None:
    """One that is longer names no field of anything."""
    with pytest.raises(ValueError, match="at most 500 characters"):
        parse_path("a" * (LONGEST + 1))


@given(NAMES, st.lists(st.one_of(NAMES, TEXTS, st.integers(0, 999_999), st.none()), max_size=6))
def test_what_is_written_is_read(first: str, rest: list[str | int | None]) -> None:
    """Whatever the steps are."""
    steps: Steps = (first, *rest)
    assert parse_path(first + "".join(map(written, rest))) == steps


def written(step: str | int | None) -> str:
    """One step in brackets."""
    if step is None:
        return "[*]"
    return f"[{step}]" if isinstance(step, int) else f"[{json.dumps(step)}]"


@given(st.text(max_size=20))
def test_any_text_is_a_path_or_refused_in_words(text: str) -> None:
    """Whatever somebody writes, and whatever object it goes into."""
    with suppress(ValueError):
        value_at(OBJECT, parse_path(text))
