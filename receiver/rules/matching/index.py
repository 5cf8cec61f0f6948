"""Finds the rules that could match a sync without looking at the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from receiver.core.model import Sync
from receiver.rules.matching.bits import numbers_in
from receiver.rules.matching.compiled import CompiledRule
from receiver.rules.matching.globs import Globs
from receiver.rules.matching.sync_predicates import phases_of


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
