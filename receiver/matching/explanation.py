"""Why a rule matched or did not: a verdict for the rule, and one for each resource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from receiver.errors import ExpressionError
from receiver.expressions import one_line
from receiver.matching.asked_of_resources import ORDER, Selector
from receiver.matching.compiled import CompiledRule
from receiver.matching.conditions import Condition, Facts
from receiver.matching.predicates import Predicate
from receiver.matching.wording import describe, say_match, say_seen
from receiver.model import Resource, Sync
from receiver.rules import Rule


class Verdict(StrEnum):
    """What came of asking; ``error`` is a condition that failed, which is no match."""

    MATCHED = "matched"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with its reason.

    Attributes:
        verdict: what came of asking.
        field: what decided, as a path below ``match``: ``resources[0].name``, or the
            selector through which a resource matched.
        reason: the whole of it in words.
        wanted: what the field wants, if it refused.
        saw: the value that it refused, or what the sync did to a resource that matched.
    """

    verdict: Verdict
    field: str
    reason: str
    wanted: str = ""
    saw: str = ""


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """A rule's verdict on a sync.

    ``resources`` has a finding for each resource of the sync, in its order; it is empty for
    a rule without ``resources``, and for one that refused the sync itself.
    """

    rule: Rule
    finding: Finding
    resources: tuple[Finding, ...] = ()

    @property
    def matched(self) -> bool:
        """Whether the rule applies."""
        return self.finding.verdict is Verdict.MATCHED


def explain_rule(compiled: CompiledRule, sync: Sync, facts: Facts) -> RuleExplanation:
    """Explain one rule."""
    refusal = _refuse_sync(compiled, sync)
    if refusal:
        return RuleExplanation(compiled.rule, refusal)
    resources = () if compiled.selectors is None else sync.resources
    selected = tuple(explain_selectors(compiled, resource) for resource in resources)
    if compiled.selectors is None or any(one.verdict is Verdict.MATCHED for one in selected):
        refusal = _ask(compiled.sync_condition, facts, None)
        if refusal:
            return RuleExplanation(compiled.rule, refusal)
    if compiled.selectors is None:
        return RuleExplanation(
            compiled.rule, Finding(Verdict.MATCHED, "", "the rule matches the sync itself")
        )
    found = tuple(_ask_resources(compiled, selected, facts))
    return RuleExplanation(compiled.rule, _sum_up(found), found)


def explain_selectors(compiled: CompiledRule, resource: Resource) -> Finding:
    """Say through which selector the resource matched, or what the one that got furthest saw."""
    furthest, refusal = -1, None
    for number, selector in enumerate(compiled.selectors or ()):
        predicate = _first_refusal(selector, resource)
        if predicate is None:
            return _through(compiled, number, resource)
        if ORDER.index(predicate.field) > furthest:
            furthest, refusal = ORDER.index(predicate.field), (number, predicate)
    assert refusal  # noqa: S101 a rule has no empty list of selectors
    number, predicate = refusal
    return _refuse(f"resources[{number}].{predicate.field}", predicate, resource)


def failed(message: str) -> Finding:
    """Return the finding of a condition that could not be evaluated."""
    return Finding(Verdict.ERROR, "condition", f"condition failed: {message}")


def _refuse_sync(compiled: CompiledRule, sync: Sync) -> Finding | None:
    if not compiled.rule.enabled:
        return Finding(Verdict.REFUSED, "enabled", "the rule is not enabled", "true", "false")
    for predicate in compiled.predicates:
        if not predicate.holds(sync):
            return _refuse(predicate.field, predicate, sync)
    return None


def _ask_resources(
    compiled: CompiledRule, selected: tuple[Finding, ...], facts: Facts
) -> Iterator[Finding]:
    for number, found in enumerate(selected):
        if found.verdict is Verdict.MATCHED:
            yield _ask(compiled.resource_condition, facts, number) or found
        else:
            yield found


def _ask(condition: Condition | None, facts: Facts, resource: int | None) -> Finding | None:
    if condition is None:
        return None
    try:
        if condition.test(facts, resource):
            return None
    except ExpressionError as error:
        return failed(f"{error}: {one_line(condition.source)}")
    wanted, saw = one_line(condition.source), facts.seen(condition.source, resource)
    reason = f"condition is false: {wanted}" + (f"; saw {saw}" if saw else "")
    return Finding(Verdict.REFUSED, "condition", reason, wanted, saw or "false")


def _sum_up(found: tuple[Finding, ...]) -> Finding:
    verdicts = [finding.verdict for finding in found]
    matched, failures = verdicts.count(Verdict.MATCHED), verdicts.count(Verdict.ERROR)
    if matched:
        return Finding(Verdict.MATCHED, "resources", f"{matched} of {len(found)} resources matched")
    if failures:
        return next(finding for finding in found if finding.verdict is Verdict.ERROR)
    reason = "no resource matched" if found else "the sync lists no resources"
    return Finding(Verdict.REFUSED, "resources", reason)


def _first_refusal(selector: Selector, resource: Resource) -> Predicate[Resource] | None:
    for predicate in selector:
        if not predicate.accept(predicate.read(resource)):
            return predicate
    return None


def _refuse(field: str, predicate: Predicate[Any], subject: Sync | Resource) -> Finding:
    saw = say_seen(predicate.field, predicate.read(subject), subject)
    reason = f"{field} wants {predicate.wanted}, saw {saw}"
    return Finding(Verdict.REFUSED, field, reason, predicate.wanted, saw)


def _through(compiled: CompiledRule, number: int, resource: Resource) -> Finding:
    rule = compiled.rule
    selector = (rule.match.resources or ())[number]
    what = say_match(selector, rule.on_unknown_change, resource)
    field = f"resources[{number}]"
    return Finding(Verdict.MATCHED, field, f"{field}: {describe(resource)} {what}", saw=what)
