"""What an expression saw, in words for people."""

from __future__ import annotations

import pytest

from receiver.core.model import Json
from receiver.rules.expressions.seen import one_line, seen

FACTS: dict[str, Json] = {
    "application": {"name": "shop", "labels": {"tier": "edge", "app.kubernetes.io/name": "web"}},
    "sync": {"dryRun": False, "message": "x" * 500, "options": ["Prune=true"]},
}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("!sync.dryRun", "sync.dryRun = false"),
        ("application.name.startsWith('sync.dryRun')", 'application.name = "shop"'),
        ("has(application.labels.team)", "application.labels.team = nothing"),
        (
            "application.labels['app.kubernetes.io/name'] == \"x\"",
            "application.labels['app.kubernetes.io/name'] = \"web\"",
        ),
        ("'Prune=true' in sync.options", 'sync.options = ["Prune=true"]'),
        ("sync.dryRun || sync.dryRun", "sync.dryRun = false"),
        ("other.dryRun && x.sync.dryRun", ""),
        ("true", ""),
    ],
)
def test_each_value_that_is_named_is_shown_once(source: str, told: str) -> None:
    """With the words of the expression; what stands in a text is none."""
    assert seen(source, FACTS) == told


def test_what_is_shown_is_bounded() -> None:
    """A message of Argo CD may have kilobytes, and an expression a hundred names."""
    assert len(seen("sync.message == ''", FACTS)) < 100
    labels: dict[str, Json] = {f"l{number}": number for number in range(100)}
    source = " && ".join(f"application.labels.{name} == 1" for name in labels)
    assert len(seen(source, {"application": {"labels": labels}})) < 300
    assert len(one_line(source)) == 200
