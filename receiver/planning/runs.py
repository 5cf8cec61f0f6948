"""Makes the runs of a plan: each action for each of its targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from receiver.core.model import new_id
from receiver.ledger.plans.records import NewRun
from receiver.planning.plan_view import ACTIONS
from receiver.rules.schema import Action, FailureAction, Rule, Target


def first_runs(rule: Rule, targets: Sequence[tuple[int, str]]) -> tuple[NewRun, ...]:
    """Make the runs of a new plan: each action for each of its targets."""
    return tuple(
        new_run(ACTIONS, step, action, name, index)
        for step, action in enumerate(rule.actions)
        for index, name in _targets_of(action, targets)
    )


def _targets_of(
    action: Action, targets: Sequence[tuple[int, str]]
) -> Iterator[tuple[int | None, str]]:
    if action.target is Target.RESOURCE:
        yield from targets
    else:
        yield None, action.target.value


def new_run(
    section: str, step: int, action: FailureAction, target: str, index: int | None
) -> NewRun:
    """Make one run of an action; ``index`` is its target's place, None if it has none."""
    retry = action.retry
    policy = {
        "for": retry.for_,
        "initialDelay": retry.initial_delay,
        "factor": retry.factor,
        "maxDelay": retry.max_delay,
        "timeout": action.timeout,
        "deadline": action.deadline,
    }
    return NewRun(
        new_id("r"), section, step, action.name, action.uses, action.wave, target, index, policy
    )
