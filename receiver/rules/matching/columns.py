"""The resources of one sync by field, so that a predicate looks at each value once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from receiver.core.model import Resource
from receiver.rules.matching.bits import bits_of
from receiver.rules.matching.globs import Globs
from receiver.rules.matching.predicates import Predicate
from receiver.rules.matching.resource_predicates import Selector


class Columns:
    """Answers which resources a selector accepts; bit i of an answer is resource i.

    What was asked once is known: rules share predicates, and most have the same defaults.
    """

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources
        self._all = (1 << len(resources)) - 1
        self._columns: dict[str, dict[Any, list[int]]] = {}
        self._sorted: dict[str, list[str]] = {}
        self._accepted: dict[Predicate[Resource], int] = {}

    def select(self, selector: Selector) -> int:
        """Return the resources that every predicate accepts."""
        found = self._all
        for predicate in selector:
            if not found:
                break
            found &= self._accept(predicate)
        return found

    def select_any(self, selectors: Iterable[Selector]) -> int:
        """Return the resources that at least one of the selectors accepts."""
        found = 0
        for selector in selectors:
            found |= self.select(selector)
        return found

    def _accept(self, predicate: Predicate[Resource]) -> int:
        known = self._accepted.get(predicate)
        if known is None:
            column = self._column(predicate)
            values = self._promising(predicate, column)
            numbers = chain.from_iterable(column[v] for v in values if predicate.accept(v))
            known = self._accepted[predicate] = bits_of(numbers, len(self._resources))
        return known

    def _column(self, predicate: Predicate[Resource]) -> dict[Any, list[int]]:
        column = self._columns.get(predicate.field)
        if column is None:
            column = self._columns[predicate.field] = {}
            for number, value in enumerate(map(predicate.read, self._resources)):
                column.setdefault(value, []).append(number)
        return column

    def _promising(
        self, predicate: Predicate[Resource], column: dict[Any, list[int]]
    ) -> Iterable[Any]:
        if predicate.globs is None:
            return column
        literals = predicate.globs.literals & column.keys()
        return literals.union(self._by_prefix(predicate.field, predicate.globs, column))

    def _by_prefix(self, field: str, globs: Globs, column: dict[str, list[int]]) -> Iterator[str]:
        """Yield the values with the prefix of a glob: few, even where there are thousands."""
        for prefix in globs.prefixes:
            texts = self._sorted.get(field)
            if texts is None:
                texts = self._sorted[field] = sorted(column)
            start = bisect_left(texts, prefix)
            size = len(prefix)
            yield from texts[start : bisect_right(texts, prefix, start, key=lambda t: t[:size])]
