"""A rule compiled for matching: its predicates, and its CEL condition.

A condition is evaluated once per sync, or for each resource if it names one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from receiver.core.errors import ExpressionError
from receiver.core.garbage import no_collections
from receiver.core.model import Json, Sync
from receiver.rules.expressions.cel import Bindings, Expressions, Program
from receiver.rules.expressions.facts import application_facts, resource_facts, sync_facts
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.seen import seen
from receiver.rules.loading.load import RuleSet
from receiver.rules.matching.match_predicates import (
    OUTCOME_FIELDS,
    Selector,
    drop,
    resource_predicates,
    sync_predicates,
    tenant_predicate,
)
from receiver.rules.matching.predicates import Predicate, Predicates
from receiver.rules.matching.questions import Asks, asks_of, asks_of_images
from receiver.rules.schema.match import Match
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.sight import Reach, Sight

KEPT = 1_000
"""Resources whose values are kept for the next rule: 9 KB each, measured, outside Python."""


class Facts:
    """The values of one sync for conditions, converted on first use.

    ``paths`` are the fields that `resource.fields` has in any case.
    """

    def __init__(self, sync: Sync, expressions: Expressions, paths: Collection[str]) -> None:
        self._sync = sync
        self._paths = paths
        self._expressions = expressions
        self._values: dict[str, Json] = {}
        self._bound: dict[int | None, Bindings] = {}

    def bind(self, resource: int | None) -> Bindings:
        """Return the values with that resource (its index) bound, or with none.

        Raises:
            ExpressionError: the notification has a text that is no Unicode.
        """
        bound = self._bound.get(resource)
        if bound is None:
            bound = self._expressions.bind(self._values_with(resource))
            if len(self._bound) < KEPT:
                self._bound[resource] = bound
        return bound

    def seen(self, source: str, resource: int | None) -> str:
        """Write what an expression saw, see `receiver.rules.expressions.seen`."""
        return seen(source, self._values_with(resource))

    def _values_with(self, resource: int | None) -> dict[str, Json]:
        if not self._values:
            self._values["application"] = application_facts(self._sync.application)
            self._values["sync"] = sync_facts(self._sync)
        if resource is None:
            return self._values
        found = resource_facts(self._sync.resources[resource], self._paths)
        return {**self._values, "resource": found}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, compiled as far as it could be.

    ``broken`` is why it does not compile: `check` refuses that, but a rule set that was
    stored by an older version may have it. It then fails whenever it is evaluated.
    """

    per_resource: bool
    source: str
    program: Program | None
    broken: str = ""

    def test(self, facts: Facts, resource: int | None = None) -> bool:
        """Whether it is true of the sync, or of the resource with that index.

        Raises:
            ExpressionError: it cannot be evaluated.
        """
        if self.program is None:
            raise ExpressionError(self.broken)
        return self.program.test(facts.bind(resource))


def compile_condition(match: Match, expressions: Expressions) -> Condition | None:
    """Return a match's condition, or None if it has none."""
    if match.condition is None:
        return None
    # What compiles without a resource does not name one.
    broken = ""
    for per_resource in (False, True) if match.resources is not None else (False,):
        scope = Scope.condition(resource=per_resource)
        try:
            program = expressions.compile_condition(match.condition, scope)
        except ExpressionError as error:
            broken = str(error)
        else:
            return Condition(per_resource, match.condition, program)
    return Condition(per_resource=False, source=match.condition, program=None, broken=broken)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """What is tested, in this order: the sync, the condition, the resources.

    A condition that names a resource comes last. ``selectors`` is None for a rule
    without ``resources``, which matches the sync itself; ``naming`` are they without what is asked
    of the outcome. ``asks`` is what each selector asks of live objects, ``asks_of_images`` whether
    it may ask if images changed. ``sight`` is what a tenant's rule sees, None for the operator's.
    """

    rule: Rule
    predicates: tuple[Predicate[Sync], ...]
    selectors: tuple[Selector, ...] | None
    naming: tuple[Selector, ...]
    condition: Condition | None
    asks: tuple[Asks, ...]
    asks_of_images: bool
    sight: Sight | None

    def sees(self, sync: Sync) -> bool:
        """Whether the rule may see a sync at all."""
        return self.sight is None or self.sight.takes(Reach.of(sync))

    @property
    def sync_condition(self) -> Condition | None:
        """The condition if it is evaluated once per sync."""
        return None if self.condition and self.condition.per_resource else self.condition

    @property
    def resource_condition(self) -> Condition | None:
        """The condition if it is evaluated for each resource."""
        return self.condition if self.condition and self.condition.per_resource else None


def compile_rule(
    rule: Rule, predicates: Predicates, expressions: Expressions, tenants: Tenants = NO_TENANTS
) -> CompiledRule:
    """Compile a merged rule. A condition that does not compile fails when it is evaluated."""
    match, tenant = rule.match, tenant_of(rule.name)
    sight = tenants.sight(tenant) if tenant else None
    bounds = [] if sight is None else [tenant_predicate(sight, predicates)]
    selectors = None
    if match.resources is not None:
        selectors = tuple(
            resource_predicates(selector, rule.on_unknown_change, predicates)
            for selector in match.resources
        )
    return CompiledRule(
        rule,
        (*bounds, *sync_predicates(match, predicates)),
        selectors,
        tuple(drop(OUTCOME_FIELDS, one) for one in selectors or ()),
        compile_condition(match, expressions),
        tuple(asks_of(rule)),
        asks_of_images(rule),
        sight,
    )


@dataclass(frozen=True, slots=True, eq=False)
class CompiledSet:
    """A rule set, with its rules compiled in their order."""

    rule_set: RuleSet
    rules: tuple[CompiledRule, ...]


class RuleCompiler:
    """Compiles rules; what several of them ask alike is one object, also of several sets."""

    def __init__(self, expressions: Expressions, tenants: Tenants = NO_TENANTS) -> None:
        self._expressions = expressions
        self._tenants = tenants
        self._predicates = Predicates()

    @no_collections()
    def compile(self, rules: Iterable[Rule]) -> tuple[CompiledRule, ...]:
        """Compile globs and conditions of merged rules."""
        predicates, expressions = self._predicates, self._expressions
        return tuple(compile_rule(rule, predicates, expressions, self._tenants) for rule in rules)

    def compile_set(self, rule_set: RuleSet) -> CompiledSet:
        """Compile the rules of a set."""
        return CompiledSet(rule_set, self.compile(rule_set.rules))
