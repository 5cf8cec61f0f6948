"""In which order namespaces are served, so that none with thousands of rules holds up another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import TypeVar

T = TypeVar("T")


def in_turn(items: Iterable[T], owner: Callable[[T], str]) -> list[T]:
    """Return one of each owner, then the second of each, and so on; else in their order."""
    met, ranked = Counter[str](), list[tuple[int, T]]()
    for item in items:
        ranked.append((met[owner(item)], item))
        met[owner(item)] += 1
    return [item for _, item in sorted(ranked, key=itemgetter(0))]
