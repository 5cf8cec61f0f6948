"""What the rules need to know of live objects before a sync is matched, and of which ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from receiver.core.model import ChangeVerdict, Resource, Sync
from receiver.rules.matching.compiled import CompiledRule, Facts
from receiver.rules.matching.conditions import holds
from receiver.rules.matching.index import ResourceIndex, RuleIndex, bits_of, numbers_in
from receiver.rules.matching.match_predicates import (
    LIVE_FIELDS,
    OUTCOME_FIELDS,
    TRUTH_FIELDS,
    Selector,
    drop,
)
from receiver.rules.matching.predicates import Predicate
from receiver.rules.matching.questions import NO_QUESTION, Asks
from receiver.rules.schema.rule_file import Rule, Verify
from receiver.rules.tenants.shares import for_each


class LiveNeeds:
    """Finds what has to be read for rules that go by live objects.

    Args:
        rules: all that are in force.
        index: of these rules.
        facts: gives what their conditions see of a sync.
    """

    def __init__(
        self, rules: Sequence[CompiledRule], index: RuleIndex, facts: Callable[[Sync], Facts]
    ) -> None:
        self._index = index
        self._facts = facts
        self._asking = any(any(one.asks) for one in rules)
        self._comparing_fields = [one for one in rules if any(asks.fields for asks in one.asks)]

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
                and holds(compiled.sync_condition, facts, None, [])
            ):
                work(compiled)

        for_each(self._index.of_application(sync), do)


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
