"""A plan and its runs as far as waves need them, and the runs that a plan begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from receiver.core.model import new_id
from receiver.ledger.plans.records import RunChange
from receiver.ledger.plans.run import Run
from receiver.rules.schema.rule_file import Action, FailureAction, Rule, Target

ACTIONS = "actions"
ON_FAILURE = "onFailure"


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as far as waves need it; ``targets`` are numbers and keys of its resources.

    ``newer`` are the plan and the sync that supersede it, if any do; ``failure`` is why it has
    failed before its first wave, "" if it has not.
    """

    id: str
    sync: str
    application: str
    rule: Rule
    targets: tuple[tuple[int, str], ...]
    runs: tuple[Run, ...]
    newer: tuple[str, str] | None = None
    failure: str = ""

    @property
    def flow(self) -> str:
        """The flow of its runs: all of one rule for one application queue behind each other."""
        return f"{self.rule.name} {self.application}"


BEFORE_ALL = -1001
"""The wave of what fails a plan before its first one: a rule's lowest is -1000."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails a plan: a run, or without an action what the plan has waited for in vain.

    ``target`` is that of the run, ``of_resource`` whether it is a resource.
    """

    reason: str
    wave: int = BEFORE_ALL
    action: str = ""
    target: str = ""
    of_resource: bool = False

    @classmethod
    def of(cls, run: Run) -> Failure:
        """Return that of a run."""
        return cls(run.reason, run.wave, run.action, run.target, run.target_index is not None)

    def __str__(self) -> str:
        return f"{self.action} ({self.target}): {self.reason}" if self.action else self.reason


Wave = Sequence[tuple[Run, FailureAction]]
Release = Callable[[Wave, Sequence[Run], Failure | None], list[RunChange]]
"""Renders the runs of a wave, given those that ended before and the failure that counts, if there
is one: each becomes due, skipped (its ``if`` is false) or failed."""


def first_runs(plan: PlanView) -> tuple[Run, ...]:
    """Return the runs of a new plan: each action for each of its targets."""
    return tuple(
        new_run(plan, ACTIONS, step, action, name, index)
        for step, action in enumerate(plan.rule.actions)
        for index, name in _targets_of(action, plan.targets)
    )


def _targets_of(
    action: Action, targets: Sequence[tuple[int, str]]
) -> Iterator[tuple[int | None, str]]:
    if action.target is Target.RESOURCE:
        yield from targets
    else:
        yield None, action.target.value


def new_run(
    plan: PlanView, section: str, step: int, action: FailureAction, target: str, index: int | None
) -> Run:
    """Return a run of an action; ``index`` is that of its target, None if it has none."""
    retry = action.retry
    policy = {
        "for": retry.for_,
        "initialDelay": retry.initial_delay,
        "factor": retry.factor,
        "maxDelay": retry.max_delay,
        "timeout": action.timeout,
        "deadline": action.deadline,
    }
    if isinstance(action, Action) and action.expires:
        policy["expires"] = action.expires
    return Run(
        id=new_id("r"), plan=plan.id, sync=plan.sync, rule=plan.rule.name, flow=plan.flow,
        section=section, step=step, action=action.name, handler=action.uses, wave=action.wave,
        target=target, target_index=index, policy=policy,
    )  # fmt: skip
