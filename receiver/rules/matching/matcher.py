"""A sync x all rules -> the rules that apply, and to which resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from receiver.core import interruption
from receiver.core.garbage import no_collections
from receiver.core.model import Sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.compiled import CompiledRule, Facts, RuleCompiler
from receiver.rules.matching.conditions import ConditionError, holds
from receiver.rules.matching.explanation import RuleExplanation, explain_rule, explain_selectors
from receiver.rules.matching.findings import Finding, Verdict
from receiver.rules.matching.index import ResourceIndex, RuleIndex, bits_of, numbers_in
from receiver.rules.matching.live_needs import LiveNeeds
from receiver.rules.matching.questions import paths_of
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import for_each, used_up


@dataclass(frozen=True, slots=True, eq=False)
class RuleMatch:
    """A rule that applies to a sync, or whose condition failed.

    Attributes:
        rule: the rule.
        matched: whether it applies.
        resources: indexes of the resources that matched, ascending; empty for a rule
            without ``resources``, which matches the sync itself.
        reason: returns why the resource with that index matched.
        errors: where the condition failed: no match there, but there may be one elsewhere.
        left_out: why it has no plan although it applies, "" for most.
    """

    rule: Rule
    matched: bool
    resources: tuple[int, ...] = ()
    reason: Callable[[int], str] = lambda _index: ""
    errors: tuple[ConditionError, ...] = ()
    left_out: str = ""


class Matcher:
    """Applies rules to syncs. It is pure, and safe to share between threads."""

    @no_collections()
    def __init__(
        self, rules: Iterable[Rule], expressions: Expressions, tenants: Tenants = NO_TENANTS,
        compiled: Iterable[CompiledRule] = (),
    ) -> None:  # fmt: skip
        """Compile globs and conditions of merged rules, once; a tenant's see what it may.

        What is ``compiled`` already comes after them.
        """
        self._rules = [*RuleCompiler(expressions, tenants).compile(rules), *compiled]
        self._index = RuleIndex(self._rules)
        naming = (one.rule for one in self._rules if "fields" in (one.rule.match.condition or ""))
        paths = frozenset[str]().union(*map(paths_of, naming))
        self._facts = partial(Facts, expressions=expressions, paths=paths)
        self.live = LiveNeeds(self._rules, self._index, self._facts)

    @property
    def compiled(self) -> Sequence[CompiledRule]:
        """The rules that it applies, in their order."""
        return self._rules

    def match(
        self, sync: Sync, index: ResourceIndex | None = None, only: str = ""
    ) -> list[RuleMatch]:
        """Return the rules that apply and those whose condition failed, in their order.

        The resources need their verdicts on change and images. The cost follows the rules
        that could match, not all rules times all resources. ``index`` is that of the sync's
        resources, if there is one already; ``only`` the name of the only rule that counts.
        """
        index, facts = index or ResourceIndex(sync.resources), self._facts(sync)
        candidates = [one for one in self._index.candidates(sync) if only in {"", one.rule.name}]

        def match(compiled: CompiledRule) -> RuleMatch | None:
            if all(predicate.holds(sync) for predicate in compiled.predicates):
                return _match(compiled, sync, index, facts)
            return None

        found = [one for one in for_each(candidates, match) if one]
        if why := used_up():
            seen = {one.rule.name for one in found}
            found += [
                RuleMatch(one.rule, matched=False)
                for one in candidates
                if one.rule.name not in seen and tenant_of(one.rule.name) in why and one.sees(sync)
            ]
        return without(found, why)

    def tenants_of(self, sync: Sync) -> int:
        """Return of how many namespaces there are rules that may see this sync."""
        return self._index.tenants_of(sync)

    def asks_of_images(self, sync: Sync) -> bool:
        """Whether a rule that may match this sync may ask if images changed."""
        return self._index.asks_of_images(sync)

    def watched_images(self, sync: Sync, index: ResourceIndex | None = None) -> tuple[int, ...]:
        """Return the resources with images that selectors name, whatever was done to them."""
        imaged = bits_of(
            (n for n, one in enumerate(sync.resources) if one.images), len(sync.resources)
        )
        index, found = index or ResourceIndex(sync.resources), 0

        def watch(compiled: CompiledRule) -> None:
            nonlocal found
            if imaged & ~found:
                found |= _watched_by(compiled, sync, index)

        for_each(self._index.of_resources(sync) if imaged else (), watch)
        return numbers_in(found & imaged)

    def explain(self, sync: Sync, rule: str = "") -> Iterator[RuleExplanation]:
        """Explain every rule, or those of this name, in their order; lazily."""
        index, facts = ResourceIndex(sync.resources), self._facts(sync)
        for compiled in self._rules:
            if rule in {"", compiled.rule.name}:
                yield explain_rule(compiled, sync, index, facts)

    def explain_each(self, sync: Sync, rule: str, tell: Callable[[RuleExplanation], None]) -> None:
        """Explain them likewise, and tell of each; of a namespace's while its share lasts."""
        index, facts = ResourceIndex(sync.resources), self._facts(sync)

        def explain(compiled: CompiledRule) -> bool:
            tell(explain_rule(compiled, sync, index, facts))
            return True

        for compiled in self._rules:
            if rule in {"", compiled.rule.name} and not for_each((compiled,), explain):
                why = used_up()[tenant_of(compiled.rule.name)]
                tell(RuleExplanation(compiled.rule, Finding(Verdict.ERROR, "", why)))


def _watched_by(compiled: CompiledRule, sync: Sync, index: ResourceIndex) -> int:
    """Return the resources that the rule selects, whatever was done to them, as bits."""
    if not all(p.holds(sync) for p in compiled.predicates if p.field != "phases"):
        return 0
    return index.select_any(compiled.naming)


def _match(
    compiled: CompiledRule, sync: Sync, index: ResourceIndex, facts: Facts
) -> RuleMatch | None:
    interruption.checkpoint()
    rule, errors = compiled.rule, list[ConditionError]()
    selected = index.select_any(compiled.selectors or ())
    if compiled.selectors is not None and not selected:
        return None
    if not holds(compiled.sync_condition, facts, None, errors):
        return RuleMatch(rule, matched=False, errors=tuple(errors)) if errors else None
    if compiled.selectors is None:
        return RuleMatch(rule, matched=True)
    found = numbers_in(selected)
    if condition := compiled.resource_condition:
        found = tuple(number for number in found if holds(condition, facts, number, errors))
    if not found and not errors:
        return None

    def reason(number: int) -> str:
        return explain_selectors(compiled, sync.resources[number]).reason

    return RuleMatch(rule, bool(found), found, reason, tuple(errors))


def without(found: Iterable[RuleMatch], why: Mapping[str, str]) -> list[RuleMatch]:
    """Leave out the rules of some namespaces, each for its reason."""
    return [
        replace(one, matched=False, left_out=why[tenant])
        if why and (tenant := tenant_of(one.rule.name)) in why and not one.left_out
        else one
        for one in found
    ]
