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
    outer, places = _trim(beside, most), _places(tree)
    statuses = [status for place in places if isinstance(status := place.get("status"), dict)]
    inside = [_trim(entries, most) for entries in _listed([*places, *statuses])]
    own = [_trim(status.get("resources"), most) for status in statuses]
    return {"resources": outer, "": _longest(inside), "own": _longest(own)}


def _trim(entries: Any, most: int | None) -> Trimmed:
    if not isinstance(entries, list):
        return Trimmed()
    listed = len(entries)
    if set(map(type, entries)) != {dict}:
        entries[:] = [entry for entry in entries if isinstance(entry, dict)]
    trimmed = Trimmed(len(entries), listed - len(entries))
    if most is not None and trimmed.entries > most:
        entries.clear()
    return trimmed


def _listed(places: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """Yield what stands where an operation has its list."""
    for place in places:
        state = place.get("operationState")
        result = state.get("syncResult") if isinstance(state, dict) else None
        if isinstance(result, dict):
            yield result.get("resources")


def _places(tree: Any) -> list[dict[str, Any]]:
    """Return the objects of a body that may be the Application, or stand beside its name."""
    if not isinstance(tree, dict):
        return []
    return [
        one for one in (tree, tree.get("app"), tree.get("application")) if isinstance(one, dict)
    ]


def _longest(trimmed: Iterable[Trimmed]) -> Trimmed:
    return max(trimmed, key=lambda one: one.entries, default=Trimmed())
