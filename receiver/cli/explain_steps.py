"""What would run if a rule's match came true: its actions by wave, with their targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from receiver.durations import duration_text
from receiver.ledger.planning import hold_reason
from receiver.matching import RuleExplanation, Verdict
from receiver.model import Sync
from receiver.rules import Action, FailureAction, Rule, Target, When


@dataclass(frozen=True, slots=True)
class Step:
    """An action, and what it would act on: resources by their keys, or the application.

    ``only`` are the words that narrow it and that nobody can decide beforehand.
    """

    wave: int
    action: str
    uses: str
    target: str
    targets: tuple[str, ...]
    only: tuple[str, ...]


def steps(item: RuleExplanation, sync: Sync) -> list[Step]:
    """Return the steps of a rule in the order of their waves; none if it did not match."""
    if not item.matched:
        return []
    keys = tuple(
        resource.key
        for resource, finding in zip(sync.resources, item.resources, strict=False)
        if finding.verdict is Verdict.MATCHED
    )
    return [
        *_sorted(_step(action, sync, keys) for action in item.rule.actions),
        *_sorted(_step(action, sync, keys) for action in item.rule.on_failure),
    ]


def terms(item: RuleExplanation) -> list[str]:
    """Say what a matched rule's plan waits for before its steps, and how it takes them."""
    if not item.matched:
        return []
    rule = item.rule
    targets = sum(finding.verdict is Verdict.MATCHED for finding in item.resources)
    return [
        *_debounce_terms(rule),
        *_limit_terms(rule, targets),
        *([f"onNewer: {rule.on_newer}"] if rule.on_newer != "parallel" else []),
    ]


def _debounce_terms(rule: Rule) -> Iterator[str]:
    if rule.debounce is not None:
        window, longest = map(duration_text, (rule.debounce.window, rule.debounce.max_wait))
        yield f"debounce: waits until no sync has come for {window}, at most {longest}"


def _limit_terms(rule: Rule, targets: int) -> Iterator[str]:
    limits = rule.limits
    if limits is None or targets <= limits.max_targets:
        return
    if limits.otherwise == "batch":
        yield f"limits: {targets} resources, {limits.max_targets} at a time"
    else:
        yield f"held: {hold_reason(targets, limits.max_targets)}"


def _sorted(found: Iterable[Step]) -> list[Step]:
    return sorted(found, key=lambda step: step.wave)


def _step(action: FailureAction, sync: Sync, keys: tuple[str, ...]) -> Step:
    target = action.target if isinstance(action, Action) else Target.APPLICATION
    targets = (sync.application.key,) if target is Target.APPLICATION else keys
    only = tuple(_only(action))
    return Step(action.wave, action.name, action.uses, target.value, targets, only)


def _only(action: FailureAction) -> Iterator[str]:
    if not isinstance(action, Action):
        yield "onFailure"
    elif action.when is not When.SUCCESS:
        yield f"when: {action.when}"
    if action.if_ is not None:
        yield f"if: {' '.join(action.if_.split())}"
    if isinstance(action, Action) and action.suspend:
        yield "suspend: waits to be approved"
