"""A rule with its globs and its condition compiled."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.core.model import Sync
from receiver.rules.expressions import Expressions
from receiver.rules.matching.conditions import Condition, compile_condition
from receiver.rules.matching.predicates import Predicate, Predicates
from receiver.rules.matching.resource_predicates import Selector, resource_predicates
from receiver.rules.matching.sync_predicates import sync_predicates
from receiver.rules.schema import Rule


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """What is tested, in this order: the sync, the condition, the resources.

    A condition that names a resource comes last. ``selectors`` is None for a rule
    without ``resources``, which matches the sync itself.
    """

    rule: Rule
    predicates: tuple[Predicate[Sync], ...]
    selectors: tuple[Selector, ...] | None
    condition: Condition | None

    @property
    def sync_condition(self) -> Condition | None:
        """The condition if it is evaluated once per sync."""
        return None if self.condition and self.condition.per_resource else self.condition

    @property
    def resource_condition(self) -> Condition | None:
        """The condition if it is evaluated for each resource."""
        return self.condition if self.condition and self.condition.per_resource else None


def compile_rule(rule: Rule, predicates: Predicates, expressions: Expressions) -> CompiledRule:
    """Compile a merged rule. A condition that does not compile fails when it is evaluated."""
    match = rule.match
    selectors = None
    if match.resources is not None:
        selectors = tuple(
            resource_predicates(selector, rule.on_unknown_change, predicates)
            for selector in match.resources
        )
    return CompiledRule(
        rule,
        tuple(sync_predicates(match, predicates)),
        selectors,
        compile_condition(match, expressions),
    )
