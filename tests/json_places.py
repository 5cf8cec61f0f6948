"""Puts anything in any place of a JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def places(tree: Any) -> Iterator[Place]:
    """Yield where each value of a document stands, but the document itself."""
    lists = enumerate(tree) if isinstance(tree, list) else ()
    for key, value in tree.items() if isinstance(tree, dict) else lists:
        yield (key,)
        yield from ((key, *rest) for rest in places(value))


def put(tree: Any, place: Place, value: Any) -> Any:
    """Return the document with another value in one place."""
    if not place:
        return value
    changed = tree.copy()
    changed[place[0]] = put(tree[place[0]], place[1:], value)
    return changed
