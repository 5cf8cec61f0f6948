"""Why a rule matched or did not: a verdict for the rule and one for each resource, as text.

Rules times resources may be millions of findings, so an excerpt of them is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from receiver.core import interruption
from receiver.core.errors import ExpressionError
from receiver.core.model import Change, ChangeVerdict, Resource, Sync
from receiver.notification.own import OWN_CHANNEL
from receiver.rules.expressions.seen import one_line
from receiver.rules.matching.cluster_scoped import namespace_of
from receiver.rules.matching.compiled import CompiledRule, Condition, Facts
from receiver.rules.matching.field_words import POLICY, why_matched, why_refused
from receiver.rules.matching.findings import NONE, Finding, Findings, Verdict
from receiver.rules.matching.index import ResourceIndex, bits_of, numbers_in
from receiver.rules.matching.match_predicates import Selector, Unknown, key_of, rank
from receiver.rules.matching.predicates import Predicate
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import OnUnknownChange, Rule


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """A rule's verdict on a sync.

    ``resources`` has a finding for each resource of the sync, in its order; it is empty for
    a rule without ``resources``, and for one that refused the sync itself.
    """

    rule: Rule
    finding: Finding
    resources: Findings = NONE

    @property
    def matched(self) -> bool:
        """Whether the rule applies."""
        return self.finding.verdict is Verdict.MATCHED


def explain_rule(
    compiled: CompiledRule, sync: Sync, index: ResourceIndex, facts: Facts
) -> RuleExplanation:
    """Explain one rule."""
    interruption.checkpoint()
    rule = compiled.rule
    refusal = _sync_refusal(compiled, sync)
    if refusal:
        return RuleExplanation(rule, refusal)
    selected = index.select_any(compiled.selectors or ())
    if compiled.selectors is None or selected:
        refusal = _condition_refusal(compiled.sync_condition, facts, None)
        if refusal:
            return RuleExplanation(rule, refusal)
    if compiled.selectors is None:
        whole = Finding(Verdict.MATCHED, "", "the rule matches the sync itself")
        return RuleExplanation(rule, whole)
    found = _findings(compiled, sync, facts, selected)
    return RuleExplanation(rule, _sum_up(found), found)


def explain_selectors(compiled: CompiledRule, resource: Resource) -> Finding:
    """Return by which selector the resource matched, or why the one that got furthest did not."""
    furthest, refusal = -1, None
    for number, selector in enumerate(compiled.selectors or ()):
        if number:
            interruption.checkpoint()
        predicate = _first_refusal(selector, resource)
        if predicate is None:
            return _match(compiled, number, resource)
        if rank(predicate) > furthest:
            furthest, refusal = rank(predicate), (number, predicate)
    assert refusal  # noqa: S101 a rule has no empty list of selectors
    number, predicate = refusal
    field = f"resources[{number}].{predicate.field}"
    if predicate.field == "fields":
        paths = (compiled.rule.match.resources or ())[number].fields or ()
        saw = why_refused(paths, resource.live)
        return Finding(Verdict.REFUSED, field, f"{field}: {saw}", predicate.wanted, saw)
    return _refusal(field, predicate, resource)


def _sync_refusal(compiled: CompiledRule, sync: Sync) -> Finding | None:
    if not compiled.rule.enabled:
        return Finding(Verdict.REFUSED, "enabled", "the rule is not enabled", "true", "false")
    for predicate in compiled.predicates:
        if not predicate.holds(sync):
            return _refusal(predicate.field, predicate, sync)
    return None


def _findings(compiled: CompiledRule, sync: Sync, facts: Facts, selected: int) -> Findings:
    size, condition = len(sync.resources), compiled.resource_condition
    explain = partial(_explain_resource, compiled, sync, facts)
    if condition is None:
        return Findings(size, selected, 0, explain)
    answers = {number: _evaluate(condition, facts, number) for number in numbers_in(selected)}
    matched = bits_of((number for number, answer in answers.items() if answer), size)
    failed = bits_of((number for number, answer in answers.items() if answer is None), size)
    return Findings(size, matched, failed, explain)


def _explain_resource(compiled: CompiledRule, sync: Sync, facts: Facts, number: int) -> Finding:
    found = explain_selectors(compiled, sync.resources[number])
    if found.verdict is not Verdict.MATCHED:
        return found
    return _condition_refusal(compiled.resource_condition, facts, number) or found


def _evaluate(condition: Condition, facts: Facts, resource: int) -> bool | None:
    """Whether the condition is true, None if it failed."""
    try:
        return condition.test(facts, resource)
    except ExpressionError:
        return None


def _condition_refusal(
    condition: Condition | None, facts: Facts, resource: int | None
) -> Finding | None:
    if condition is None:
        return None
    try:
        if condition.test(facts, resource):
            return None
    except ExpressionError as error:
        reason = f"condition failed: {error}: {one_line(condition.source)}"
        return Finding(Verdict.ERROR, "condition", reason)
    wanted, saw = one_line(condition.source), facts.seen(condition.source, resource)
    reason = f"condition is false: {wanted}" + (f"; saw {saw}" if saw else "")
    return Finding(Verdict.REFUSED, "condition", reason, wanted, saw or "false")


def _sum_up(found: Findings) -> Finding:
    counts = found.counts
    if matched := counts[Verdict.MATCHED]:
        return Finding(Verdict.MATCHED, "resources", f"{matched} of {len(found)} resources matched")
    if counts[Verdict.ERROR]:
        return found[found.of(Verdict.ERROR)[0]]
    reason = "no resource matched" if found else "the sync lists no resources"
    return Finding(Verdict.REFUSED, "resources", reason)


def _first_refusal(selector: Selector, resource: Resource) -> Predicate[Resource] | None:
    for predicate in selector:
        if not predicate.accept(predicate.read(resource)):
            return predicate
    return None


def _refusal(field: str, predicate: Predicate[Any], subject: Sync | Resource) -> Finding:
    value = predicate.read(subject)
    if isinstance(value, Unknown):
        saw = f"its {key_of(predicate)} are not known: {value.reason}"
        reason = f"{field} wants {predicate.wanted}, and {saw}"
        return Finding(Verdict.REFUSED, field, reason, predicate.wanted, saw)
    left_out = predicate.field in LEFT_OUT
    saw = _format_whole(subject) if left_out else _format_value(predicate.field, value, subject)
    reason = f"{field} wants {predicate.wanted}, saw {saw}"
    return Finding(Verdict.REFUSED, field, reason, predicate.wanted, saw)


def _match(compiled: CompiledRule, number: int, resource: Resource) -> Finding:
    """Say what the sync did to a resource that matched, and what passed although unknown."""
    rule, field = compiled.rule, f"resources[{number}]"
    selector = (rule.match.resources or ())[number]
    policy = "skip" if selector.fields else rule.on_unknown_change  # then the fields decide
    what = _format_change(selector, policy, resource.change)
    if selector.health is not None:
        what += f", {_format_health(resource)}"
    if selector.image_changed is not None:
        what += f", {_format_images(resource.image_changed)}"
    if selector.fields is not None:
        what += f", {why_matched(selector.fields, resource.live)}"
    return Finding(Verdict.MATCHED, field, f"{field}: {describe(resource)} {what}", saw=what)


MOST = 10_000
"""Findings of one explanation, over all rules: one rule alone has those on 10,000 resources."""

LARGEST = 4 << 20
"""Characters of their reasons: one that names a long list of globs is long too."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Findings of one rule by the number of the resource, ascending, and how many are left out."""

    findings: dict[int, Finding]
    more: dict[str, int]


def quota(rules: int) -> int:
    """Return how many findings each of so many rules may have; at least one."""
    return max(1, MOST // max(1, rules))


def excerpt(
    item: RuleExplanation, resources: Sequence[Resource], rules: int, resource: str = ""
) -> Excerpt:
    """Choose findings of a rule: what matched comes before what did not.

    Args:
        item: the rule's explanation.
        resources: those of the sync.
        rules: how many rules are explained together.
        resource: the key of the only resource that counts, "" for all of them.
    """
    found, most, left = item.resources, quota(rules), LARGEST // max(1, rules)
    if resource:
        numbers = [n for n in range(len(found)) if resources[n].key == resource][:most]
        return Excerpt({number: found[number] for number in numbers}, {})
    chosen: dict[int, Finding] = {}
    for number in found.first(most):
        finding = found[number]
        left -= len(finding.reason)
        if chosen and left < 0:
            break
        chosen[number] = finding
    counts = dict(found.counts)
    for finding in chosen.values():
        counts[finding.verdict] -= 1
    more = {verdict.value: counts[verdict] for verdict in Verdict if counts[verdict]}
    return Excerpt(dict(sorted(chosen.items())), more)


UNTOLD = "the notification does not tell it"
NO_HEALTH = f"{UNTOLD}; a connection to Argo CD would, or controller.resource.health.persist there"


def describe(resource: Resource) -> str:
    """Return a resource's name for people: ``ConfigMap shop/shop-config``."""
    namespace = namespace_of(resource)
    hook = f" ({resource.hook_type} hook)" if resource.hook_type else ""
    name = f"{namespace}/{resource.name}" if namespace else resource.name
    return f"{resource.kind} {name}{hook}"


LEFT_OUT = frozenset({"not", "application.not"})


def _format_whole(subject: Sync | Resource) -> str:
    """Return what was left out, as text."""
    if isinstance(subject, Resource):
        return describe(subject)
    project = subject.application.project
    return subject.application.key + (f" of project {project}" if project else "")


def _format_value(field: str, value: object, subject: Sync | Resource) -> str:
    """Return the value that a predicate refused, as text."""
    if field == "change" and isinstance(subject, Resource):
        return _with_reason(str(value), subject.change)
    if field == "health" and isinstance(subject, Resource):
        return _format_health(subject)
    if value is None:
        return "unknown" if field == "imageChanged" else "nothing"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _format_text(field, str(value))


def _format_text(field: str, text: str) -> str:
    if text:
        own = field == "channel" and text == OWN_CHANNEL
        return f"{text}, which no glob takes" if own else text
    if field.startswith("application."):
        return f"nothing: {UNTOLD}"
    return '""' if field == "group" else "nothing"


def _format_change(selector: ResourceMatch, policy: OnUnknownChange, change: Change) -> str:
    if change.verdict is not ChangeVerdict.UNKNOWN:
        return _with_reason(change.verdict.value, change)
    if policy == "run" and not {"unknown", "any"} & {*selector.change}:
        return f"perhaps changed ({change.reason}; {POLICY})"
    return _with_reason("of unknown change", change)


def _with_reason(word: str, change: Change) -> str:
    return word if change.reason == word else f"{word} ({change.reason})"


def _format_health(resource: Resource) -> str:
    if not resource.health:
        return f"unknown ({resource.health_message or NO_HEALTH})"
    why = f" ({resource.health_message})" if resource.health_message else ""
    return resource.health + why


def _format_images(changed: bool | None) -> str:
    if changed is None:
        return f"its images perhaps changed (unknown; {POLICY})"
    return "its images changed" if changed else "its images unchanged"
