"""The phases of finished operations, and where a body has one that is not looked for there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

FINISHED = ("Succeeded", "Failed", "Error")

DEPTH = 5
"""How deep one is looked for: that of a whole Application is the fourth key."""

SHOWN = 3
"""Keys that a hint names, and 80 characters of each: they are the sender's."""


def misplaced(tree: Any) -> list[str]:
    """Name the keys of a body that hold the phase of a finished operation; lists are left out."""
    return [path for path, value in _texts(tree, "", DEPTH) if value in FINISHED]


def say(paths: Sequence[str]) -> str:
    """Name them in a sentence."""
    return ", ".join(f"`{path[:80]}`" for path in paths[:SHOWN])


def _texts(tree: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict) and depth:
        for key, value in tree.items():
            yield from _texts(value, f"{path}.{key}" if path else str(key), depth - 1)
