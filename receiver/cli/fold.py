"""Folds what is equal: the first of many that differ in names alone, and how many more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

FEW = 3
"""So many that are equal are shown each."""


def folded(
    items: Sequence[T], key: Callable[[T], Hashable], *, whole: bool = False
) -> Iterator[tuple[T, Sequence[T]]]:
    """Yield the items in their order; the first of many that are equal comes with the others.

    Args:
        items: all of them.
        key: what makes two of them equal.
        whole: yield each by itself.
    """
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    for item in items:
        group = groups[key(item)]
        if whole or len(group) <= FEW:
            yield item, ()
        elif item is group[0]:
            yield item, group[1:]


def named(ids: Sequence[str]) -> str:
    """Return some ids in words: all of a few, or the first ones and how many more there are."""
    more = f" and {len(ids) - FEW:,} more" if len(ids) > FEW else ""
    return ", ".join(ids[:FEW]) + more
