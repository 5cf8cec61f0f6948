"""Decides a plan's next step from the state of its runs. Pure: it reads and writes nothing.

A wave is a barrier over all targets of a plan: it is released when every run of the waves
before has ended well, or where an action's ``when`` says otherwise. `onFailure` starts once,
when all that had started has ended, and has waves of its own.
"""

from __future__ import annotations

from receiver.ledger.plans.records import Advance
from receiver.planning.plan_step import Step
from receiver.planning.plan_view import ACTIONS, ON_FAILURE, PlanView, Release


def advance(plan: PlanView, release: Release) -> Advance:
    """Take the plan's next step: release a wave, start `onFailure`, end it, or nothing yet."""
    step = Step(plan, release)
    if plan.newer:
        step.end_superseded(plan.newer)
        return step.result()
    step.start_actions()
    if step.run_section(ACTIONS, plan.rule.actions):
        failure = step.failure
        if failure and plan.rule.on_failure:
            step.start_on_failure()
        elif not failure:
            step.drop_on_failure()
        if step.run_section(ON_FAILURE, plan.rule.on_failure):
            step.end(failure)
    return step.result()
