"""A rule with its globs and its condition compiled."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.core.model import Sync
from receiver.rules.expressions import Expressions
from receiver.rules.matching.conditions import Condition, compile_condition
from receiver.rules.matching.predicates import Predicate, Predicates
from receiver.rules.matching.resource_predicates import Selector, ask_resource
from receiver.rules.matching.sync_predicates import ask_sync
from receiver.rules.schema import Rule


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """What is asked, in the order of asking: the sync, the condition, the resources.

    A condition that speaks of a resource comes last. ``selectors`` is None for a rule
    without ``resources``, which matches the sync itself.
    """

    rule: Rule
    predicates: tuple[Predicate[Sync], ...]
    selectors: tuple[Selector, ...] | None
    condition: Condition | None

    @property
    def sync_condition(self) -> Condition | None:
        """The condition if it is asked once a sync."""
        return None if self.condition and self.condition.per_resource else self.condition

    @property
    def resource_condition(self) -> Condition | None:
        """The condition if it is asked of each resource."""
        return self.condition if self.condition and self.condition.per_resource else None


def compile_rule(rule: Rule, predicates: Predicates, expressions: Expressions) -> CompiledRule:
    """Compile a merged rule. A condition that does not compile fails when it is asked."""
    match = rule.match
    selectors = None
    if match.resources is not None:
        selectors = tuple(
            ask_resource(selector, rule.on_unknown_change, predicates)
            for selector in match.resources
        )
    return CompiledRule(
        rule,
        tuple(ask_sync(match, predicates)),
        selectors,
        compile_condition(match, expressions),
    )
