"""Bounds the list of resources before it is parsed, where an entry costs kilobytes.

Entries that are no objects are left out, and a list that is too long is emptied and only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trimmed:
    """How many ``entries`` of a list are objects, and how many were left out as they are none."""

    entries: int = 0
    left_out: int = 0


def too_many(listed: int, most: int) -> str:
    """Return why a sync that lists so many resources is not planned, "" if it is."""
    if listed <= most:
        return ""
    return f"too large: it lists {listed} resources, more than maxResources ({most})"


def trim(tree: Any, most: int | None) -> dict[str, Trimmed]:
    """Trim the lists of a body in place.

    Args:
        tree: the body as it was read.
        most: entries that a list may have; None for any number.

    Returns:
        What the list of the shape ``resources`` had, under ``""`` that of every other shape, and
        under ``own`` that of a whole Application's own resources.
    """
    beside = tree.get("resources") if isinstance(tree, dict) else tree
    outer = _trim(beside, most)
    inside = [_trim(entries, most) for entries in _listed(tree)]
    own = [_trim(_at(place, "status", "resources"), most) for place in _places(tree)]
    return {"resources": outer, "": _longest(inside), "own": _longest(own)}


def _trim(entries: Any, most: int | None) -> Trimmed:
    if not isinstance(entries, list):
        return Trimmed()
    listed = len(entries)
    entries[:] = [entry for entry in entries if isinstance(entry, dict)]
    trimmed = Trimmed(len(entries), listed - len(entries))
    if most is not None and trimmed.entries > most:
        entries.clear()
    return trimmed


def _listed(tree: Any) -> Iterator[Any]:
    """Yield what stands at each place where a body may have the list of an operation."""
    places = _places(tree)
    for path in (("operationState",), ("status", "operationState")):
        for place in places:
            yield _at(place, *path, "syncResult", "resources")


def _places(tree: Any) -> tuple[Any, ...]:
    return tree, _at(tree, "app"), _at(tree, "application")


def _longest(trimmed: Iterable[Trimmed]) -> Trimmed:
    return max(trimmed, key=lambda one: one.entries)


def _at(tree: Any, *path: str) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
