"""A sync x all rules -> the rules that apply, and to which resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from receiver.core import interruption
from receiver.core.errors import ExpressionError
from receiver.core.garbage import no_collections
from receiver.core.model import ChangeVerdict, Resource, Sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.compiled import CompiledRule, Condition, Facts, RuleCompiler
from receiver.rules.matching.explanation import RuleExplanation, explain_rule, explain_selectors
from receiver.rules.matching.findings import Finding, Verdict
from receiver.rules.matching.index import ResourceIndex, RuleIndex, bits_of, numbers_in
from receiver.rules.matching.match_predicates import (
    LIVE_FIELDS,
    OUTCOME_FIELDS,
    TRUTH_FIELDS,
    Selector,
    drop,
)
from receiver.rules.matching.predicates import Predicate
from receiver.rules.matching.questions import NO_QUESTION, Asks, paths_of
from receiver.rules.schema.rule_file import Rule, Verify
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import charge, for_each, used_up


@dataclass(frozen=True, slots=True)
class ConditionError:
    """A condition that failed: on a resource (its index), or on the sync (None)."""

    resource: int | None
    message: str


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
        self._asking = any(any(one.asks) for one in self._rules)
        self._comparing_fields = [
            one for one in self._rules if any(asks.fields for asks in one.asks)
        ]
        self._expressions = expressions
        naming = (one.rule for one in self._rules if "fields" in (one.rule.match.condition or ""))
        self._paths = frozenset[str]().union(*map(paths_of, naming))

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

    def _facts(self, sync: Sync) -> Facts:
        return Facts(sync, self._expressions, self._paths)

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

    def wants_truth(self, sync: Sync) -> tuple[int, ...]:
        """Return the resources whose live objects decide whether a rule matches them.

        That is what is Synced, no hook, and selected by all else that a rule with `verify` asks,
        unless its message says that it is unchanged. The resources need their verdicts by message.
        """
        index = ResourceIndex(sync.resources)
        found = {"auto": 0, "always": 0}

        def want(compiled: CompiledRule) -> None:
            selectors = _without(TRUTH_FIELDS, compiled.selectors)
            found[compiled.rule.verify] |= index.select_any(selectors)

        self._for_verifying(sync, want)
        always = _open(sync, found["always"], "always")
        return numbers_in(always | _open(sync, found["auto"], "auto"))

    def asks(self, sync: Sync) -> dict[int, Asks]:
        """Return what rules ask of live objects beside the change, by the resource's index.

        That is where all else that the rule asks is so, or may be so by the live object.
        """
        index, found = ResourceIndex(sync.resources), dict[int, Asks]()
        if not self._asking:
            return found
        # Where the sync tells no health, the object does, as in `wants_health`.
        told = any(one.health for one in sync.resources)
        fields = LIVE_FIELDS if told else LIVE_FIELDS | {"health"}

        def ask(compiled: CompiledRule) -> None:
            for selector, asks in zip(compiled.selectors or (), compiled.asks, strict=True):
                if asks:
                    by_message = index.select(drop(fields, selector))
                    by_all_else = index.select(drop(fields | {"change"}, selector))
                    bits = by_message | _open(sync, by_all_else, compiled.rule.verify)
                    for number in numbers_in(bits):
                        found[number] = found.get(number, NO_QUESTION) | asks

        self._for_verifying(sync, ask)
        return found

    def asks_of_others(self, sync: Sync, others: Sequence[Resource]) -> dict[int, Asks]:
        """Return the same of resources that the sync does not list, each by its index."""
        index, found = ResourceIndex(others), dict[int, Asks]()

        def ask(compiled: CompiledRule) -> None:
            for selector, asks in zip(compiled.selectors or (), compiled.asks, strict=True):
                bits = index.select(drop(OUTCOME_FIELDS, selector)) if asks else 0
                for number in numbers_in(bits):
                    found[number] = found.get(number, NO_QUESTION) | asks

        self._for_verifying(sync, ask)
        return found

    def compares_fields_of(self, sync: Sync) -> bool:
        """Whether a rule may ask for fields at some sync of this Application."""
        return any(self._comparing(sync))

    def _comparing(self, sync: Sync) -> Iterator[CompiledRule]:
        return (one for one in self._comparing_fields if _could_be_of(one, sync))

    def fields_to_know(self, sync: Sync) -> dict[int, frozenset[str]]:
        """Return the paths that rules will ask for, by the index of the resource.

        Args:
            sync: any of the Application, on any channel, with the resources that it has.
        """
        index, found = ResourceIndex(sync.resources), dict[int, frozenset[str]]()
        for compiled in self._comparing(sync):
            for selector, asks in zip(compiled.selectors or (), compiled.asks, strict=True):
                bits = index.select(drop(OUTCOME_FIELDS, selector)) if asks.fields else 0
                for number in numbers_in(bits):
                    found[number] = found.get(number, frozenset()) | asks.fields
        return found

    def wants_health(self, sync: Sync) -> tuple[int, ...]:
        """Return the resources whose health, which the sync does not tell, decides about a rule.

        A list that tells the health of any resource says nothing of those that Argo CD does not
        judge.
        """
        if any(one.health for one in sync.resources):
            return ()
        index, found = ResourceIndex(sync.resources), 0

        def want(compiled: CompiledRule) -> None:
            nonlocal found
            asking = [one for one in compiled.selectors or () if any(map(_is_of_health, one))]
            found |= index.select_any(_without(TRUTH_FIELDS, asking))

        self._for_verifying(sync, want)
        return tuple(n for n in numbers_in(found) if not sync.resources[n].hook_type)

    def could_select(self, sync: Sync, others: Sequence[Resource]) -> tuple[int, ...]:
        """Return those of other resources that a rule with `verify` selects by what names them."""
        index, found = ResourceIndex(others), 0

        def select(compiled: CompiledRule) -> None:
            nonlocal found
            found |= index.select_any(compiled.naming)

        self._for_verifying(sync, select)
        return numbers_in(found)

    def verifies(self, sync: Sync) -> bool:
        """Whether a rule with `verify` may match some resource of this sync, listed or not."""
        found: list[Rule] = []
        self._for_verifying(sync, lambda compiled: found.append(compiled.rule))
        return bool(found)

    def _for_verifying(self, sync: Sync, work: Callable[[CompiledRule], None]) -> None:
        """Do some work for each rule with `verify` that may match this sync."""
        facts = self._facts(sync)

        def do(compiled: CompiledRule) -> None:
            if (
                compiled.rule.verify != "never"
                and compiled.selectors is not None
                and all(predicate.holds(sync) for predicate in compiled.predicates)
                and _test(compiled.sync_condition, facts, None, [])
            ):
                work(compiled)

        for_each(self._index.of_application(sync), do)

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


def _could_be_of(compiled: CompiledRule, sync: Sync) -> bool:
    """Whether the rule may match a sync of this Application, wherever that goes to."""
    left_open = {"phases", "channel"}
    if not sync.application.destination.namespace:
        left_open.add("tenant")  # whose it is, only a sync tells then
    return compiled.rule.enabled and all(
        predicate.holds(sync)
        for predicate in compiled.predicates
        if predicate.field not in left_open
        and not predicate.field.startswith("application.destination.")
    )


def _without(fields: frozenset[str], selectors: Iterable[Selector] | None) -> list[Selector]:
    """Return a rule's selectors as if they did not ask for these fields."""
    return [drop(fields, one) for one in selectors or ()]


def _is_of_health(predicate: Predicate[Resource]) -> bool:
    return predicate.field == "health"


def _open(sync: Sync, among: int, verify: Verify) -> int:
    """Return those of some resources whose live objects tell what the sync did to them, as bits."""
    found = (
        number
        for number in numbers_in(among)
        if (one := sync.resources[number]).is_told_by_object
        and (verify == "always" or one.change.verdict is not ChangeVerdict.UNCHANGED)
    )
    return bits_of(found, len(sync.resources))


def _match(
    compiled: CompiledRule, sync: Sync, index: ResourceIndex, facts: Facts
) -> RuleMatch | None:
    interruption.checkpoint()
    rule, errors = compiled.rule, list[ConditionError]()
    selected = index.select_any(compiled.selectors or ())
    if compiled.selectors is not None and not selected:
        return None
    if not _test(compiled.sync_condition, facts, None, errors):
        return RuleMatch(rule, matched=False, errors=tuple(errors)) if errors else None
    if compiled.selectors is None:
        return RuleMatch(rule, matched=True)
    found = numbers_in(selected)
    if condition := compiled.resource_condition:
        found = tuple(number for number in found if _test(condition, facts, number, errors))
    if not found and not errors:
        return None

    def reason(number: int) -> str:
        return explain_selectors(compiled, sync.resources[number]).reason

    return RuleMatch(rule, bool(found), found, reason, tuple(errors))


def _test(
    condition: Condition | None, facts: Facts, resource: int | None, errors: list[ConditionError]
) -> bool:
    """Whether the condition, if there is one, is true; if it fails, that is added to ``errors``."""
    try:
        return condition is None or condition.test(facts, resource)
    except ExpressionError as error:
        errors.append(ConditionError(resource, str(error)))
        charge(len(errors[-1].message))
        return False


def without(found: Iterable[RuleMatch], why: Mapping[str, str]) -> list[RuleMatch]:
    """Leave out the rules of some namespaces, each for its reason."""
    return [
        replace(one, matched=False, left_out=why[tenant])
        if why and (tenant := tenant_of(one.rule.name)) in why and not one.left_out
        else one
        for one in found
    ]
