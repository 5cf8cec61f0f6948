"""Indexes: the rules that could match a sync, and the resources that a selector accepts.

Sets are integers, bit i for number i: thousands are intersected in a step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, count
from typing import Any

from receiver.core.model import Resource, Sync
from receiver.rules.matching.compiled import CompiledRule
from receiver.rules.matching.match_predicates import Selector, phases_of
from receiver.rules.matching.predicates import Globs, Predicate

FLAGS = bytes.maketrans(b"01", b"\0\1")


def bits_of(numbers: Iterable[int], size: int) -> int:
    """Return the set of these numbers, each below ``size``."""
    digits = bytearray(b"0") * (size + 1)
    for number in numbers:
        digits[size - number] = 49  # the digit 1
    return int(digits, 2)


def numbers_in(bits: int) -> tuple[int, ...]:
    """Return the numbers of the set, ascending."""
    return tuple(compress(count(), bin(bits)[:1:-1].encode().translate(FLAGS)))


class RuleIndex:
    """Rules by channel, phase, application and kind; bit i of a set is rule i."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._rules = rules
        self._channels, self._phases = Dimension(), Dimension()
        self._applications, self._kinds = Dimension(), Dimension()
        for number, compiled in enumerate(rules):
            if compiled.rule.enabled:
                self._add(1 << number, compiled)

    def of_application(self, sync: Sync) -> Iterable[CompiledRule]:
        """Return the rules that could ever match a sync of this channel and Application."""
        found = self._channels.rules((sync.channel,))
        found &= self._applications.rules((sync.application.name,))
        return [self._rules[number] for number in numbers_in(found)]

    def candidates(self, sync: Sync) -> Iterable[CompiledRule]:
        """Return the rules that could match, in their order."""
        found = self._channels.rules((sync.channel,))
        found &= self._phases.rules((sync.phase,))
        found &= self._applications.rules((sync.application.name,))
        if found:
            found &= self._kinds.rules({resource.kind for resource in sync.resources})
        return [self._rules[number] for number in numbers_in(found)]

    def _add(self, bit: int, compiled: CompiledRule) -> None:
        globs = {predicate.field: predicate.globs for predicate in compiled.predicates}
        self._channels.add(bit, globs["channel"])
        self._applications.add(bit, globs.get("application.name"))
        for phase in phases_of(compiled.rule.match):
            self._phases.add_literal(bit, phase)
        if compiled.selectors is None:
            self._kinds.add(bit, None)
        for selector in compiled.selectors or ():
            kinds = {predicate.field: predicate.globs for predicate in selector}
            self._kinds.add(bit, kinds.get("kind"))


class Dimension:
    """Which rules accept a value of one field."""

    def __init__(self) -> None:
        self._any = 0
        self._literals: defaultdict[str, int] = defaultdict(int)
        self._globs: defaultdict[Globs, int] = defaultdict(int)

    def add(self, bit: int, globs: Globs | None) -> None:
        """Add a rule that accepts what the globs do; None: every value, and no value."""
        if globs is None:
            self._any |= bit
        elif globs.prefixes:
            self._globs[globs] |= bit
        else:
            for literal in globs.literals:
                self.add_literal(bit, literal)

    def add_literal(self, bit: int, value: str) -> None:
        """Add a rule that accepts this value."""
        self._literals[value] |= bit

    def rules(self, values: Iterable[str]) -> int:
        """Return the rules that accept one of the values."""
        found = self._any
        for value in values:
            found |= self._literals.get(value, 0)
            for globs, rules in self._globs.items():
                if globs.accept(value):
                    found |= rules
        return found


class ResourceIndex:
    """The resources of one sync by the values of their fields; bit i of a set is resource i.

    A predicate is tested on each value once, and its result is cached: rules share predicates,
    and most have the same defaults.
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
