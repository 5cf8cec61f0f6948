"""What is nested deeper than Python reads is cut out of JSON, and nothing else."""

from __future__ import annotations

import json

import pytest

from receiver.argocd.nesting import DEEPEST, without_depths


def nested(levels: int, inside: str = "1") -> str:
    return '{"a":[' * (levels // 2) + inside + "]}" * (levels // 2)


@pytest.mark.parametrize("text", ['{"a": "}]\\"[{", "b": [1, {}]}', nested(DEEPEST), '"[[["', "{"])
def test_what_is_not_too_deep_stays_as_it_is(text: str) -> None:
    """Also brackets in texts, and what is no JSON."""
    assert without_depths(text.encode()) == text.encode()


def test_what_is_deeper_is_null_and_what_stands_beside_it_stays() -> None:
    deep = nested(9_000, '"]}\\\\"')
    found = json.loads(without_depths(f'[{deep}, {{"name": "next"}}, {deep}, 2]'.encode()))
    assert (found[1], found[3]) == ({"name": "next"}, 2)
    assert json.dumps(found[0]).count("[") + json.dumps(found[0]).count("{") == DEEPEST - 1
    assert "null" in json.dumps(found[2])
