"""What would run of a rule that matched: its actions by wave, with their targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from receiver.contract.durations import duration_text
from receiver.core.model import Sync
from receiver.ledger.plans.records import hold_reason
from receiver.rules.matching.explanation import RuleExplanation
from receiver.rules.matching.findings import Verdict
from receiver.rules.schema.rule_file import Action, FailureAction, Rule, Target, When


@dataclass(frozen=True, slots=True)
class Step:
    """An action, and what it would act on: resources by their keys, or the application.

    ``only`` are the conditions that are not known before it runs; ``more`` is how
    many targets are left out.
    """

    wave: int
    action: str
    uses: str
    target: str
    targets: tuple[str, ...]
    only: tuple[str, ...]
    more: int = 0


def steps(item: RuleExplanation, sync: Sync, most: int) -> list[Step]:
    """Return the steps of a rule in the order of their waves; none if it did not match.

    Each names so many of its targets at most.
    """
    if not item.matched:
        return []
    matched = item.resources.of(Verdict.MATCHED)
    keys = tuple(sync.resources[number].key for number in matched[:most])
    more = len(matched) - len(keys)
    return [
        *_sorted(_step(action, sync, keys, more) for action in item.rule.actions),
        *_sorted(_step(action, sync, keys, more) for action in item.rule.on_failure),
    ]


def terms(item: RuleExplanation) -> list[str]:
    """Return what a matched rule's plan waits for before its steps, and how it takes them."""
    if not item.matched:
        return []
    rule = item.rule
    targets = item.resources.counts[Verdict.MATCHED]
    return [
        *_debounce_terms(rule),
        *_throttle_terms(rule),
        *_limit_terms(rule, targets),
        *_health_terms(rule),
        *([f"onNewer: {rule.on_newer}"] if rule.on_newer != "parallel" else []),
    ]


def _debounce_terms(rule: Rule) -> Iterator[str]:
    if rule.debounce is None:
        return
    window, longest = map(duration_text, (rule.debounce.window, rule.debounce.max_wait))
    if until := rule.debounce.until:
        yield (
            f"debounce: waits for the Applications of until, at most {longest}, then "
            f"{until.otherwise}; without a connection until no sync has come for {window}"
        )
    else:
        yield f"debounce: waits until no sync has come for {window}, at most {longest}"


def _throttle_terms(rule: Rule) -> Iterator[str]:
    if throttle := rule.throttle:
        yield (
            f"throttle: at once, or with all others of that time {duration_text(throttle.every)} "
            "after the plan before"
        )


def _limit_terms(rule: Rule, targets: int) -> Iterator[str]:
    limits = rule.limits
    if limits is None or targets <= limits.max_targets:
        return
    if limits.otherwise == "batch":
        yield f"limits: {targets} resources, {limits.max_targets} at a time"
    else:
        yield f"held: {hold_reason(targets, limits.max_targets)}"


def _health_terms(rule: Rule) -> Iterator[str]:
    if wait := rule.wait_for:
        yield (
            f"waitFor: waits until what matched is healthy, at most {duration_text(wait.healthy)}, "
            f"then {wait.otherwise}; needs a connection"
        )


def _sorted(found: Iterable[Step]) -> list[Step]:
    return sorted(found, key=lambda step: step.wave)


def _step(action: FailureAction, sync: Sync, keys: tuple[str, ...], more: int) -> Step:
    target = action.target if isinstance(action, Action) else Target.APPLICATION
    targets, left = ((sync.application.key,), 0) if target is Target.APPLICATION else (keys, more)
    only = tuple(_only(action))
    return Step(action.wave, action.name, action.uses, target.value, targets, only, left)


def _only(action: FailureAction) -> Iterator[str]:
    if not isinstance(action, Action):
        yield "onFailure"
    elif action.when is not When.SUCCESS:
        yield f"when: {action.when}"
    if action.if_ is not None:
        yield f"if: {' '.join(action.if_.split())}"
    if isinstance(action, Action) and action.suspend:
        within = f" within {duration_text(action.expires)}" if action.expires else ""
        yield f"suspend: waits to be approved{within}"
