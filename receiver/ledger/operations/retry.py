"""An operator repeats what failed, with the parameters that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, bindparam, text, update

from receiver.core.errors import StateConflict
from receiver.core.model import Json
from receiver.core.states import PlanState, RunState, SkipCause, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import Row, UnitOfWork
from receiver.ledger.operations.common import Act, find_plan, find_run, run_event
from receiver.ledger.plans.concurrency import enqueue_plan
from receiver.ledger.plans.plan import Plan, read_plans, select_plans
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.plans.signals import signal
from receiver.ledger.plans.start import waiting_event
from receiver.ledger.queue.attempts import started_elsewhere
from receiver.ledger.queue.fair_queueing import next_virtual_time
from receiver.ledger.queue.pauses import PAUSED_AT

HURRY = (
    "GET /v1/runs/{run} tells what it waits for; if that is a time, POST /v1/runs/{run}/hurry "
    "tries it at once"
)
HINTS = {
    RunState.SUCCEEDED: "to do it again, replay its sync: POST /v1/syncs/{sync}/replay",
    RunState.SKIPPED: "retry the run that failed: that opens again what it had skipped; where "
    "none has, replay the sync: POST /v1/syncs/{sync}/replay",
    RunState.DUE: HURRY,
    RunState.PENDING: HURRY,
    RunState.HELD: "it waits to be approved: POST /v1/runs/{run}/approve",
    RunState.SUPERSEDED: "a newer plan does its work",
}
UNDER_WAY = "it is under way; GET /v1/runs/{run} tells how far"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which failed runs; "" and None leave out a filter. Times in milliseconds, of the failure.

    ``application`` is ``namespace/name``, or the name alone.
    """

    rule: str = ""
    handler: str = ""
    application: str = ""
    since: int | None = None
    until: int | None = None


def retry_run(uow: UnitOfWork, act: Act, run: str) -> None:
    """Make a failed or cancelled run due again.

    Raises:
        UnknownId: there is no such run.
        StateConflict: it has not failed, has no parameters, or its plan has been superseded.
    """
    found = find_run(uow, act, run)
    state = found.state
    if not state.has(Trait.RETRYABLE):
        hint = HINTS.get(state, UNDER_WAY).format(run=run, sync=found.sync)
        raise StateConflict(
            f"run {run} is {state}; only one that failed or was cancelled is retried",
            state=state, hint=hint,
        )  # fmt: skip
    if state is not RunState.CANCELLED and not found.rendered:
        raise StateConflict(
            f"run {run} has no parameters to repeat: it was {found.reason}", state=state,
            hint=f"mend the rule, then replay the sync: POST /v1/syncs/{found.sync}/replay",
        )  # fmt: skip
    newer = find_plan(uow, act, found.plan).newer_plan
    if newer:
        raise StateConflict(
            f"run {run} is {state}, and its plan is superseded by {newer}", state=state,
            hint="retry what failed of that one, or replay the sync",
        )  # fmt: skip
    retry_found(uow, act, [found])


def failed_runs(uow: UnitOfWork, act: Act, chosen: Chosen, limit: int) -> Sequence[Run]:
    """Return failed runs that can be retried, the oldest failure first."""
    r, p = tables.runs, tables.plans
    query = select_runs().join(p, p.c.id == r.c.plan_id).where(text(f"runs.{tables.FAILED_RUN}"))
    query = query.where(*_conditions(chosen), *act.binding.of_rules(r.c.rule.concat("")))
    query = query.order_by(r.c.ended_at, r.c.id).limit(limit)
    return read_runs(uow.connection, query)


def _conditions(chosen: Chosen) -> list[ColumnElement[bool]]:
    r, p = tables.runs, tables.plans
    conditions: list[ColumnElement[bool]] = [r.c.rendered, p.c.newer_plan.is_(None)]
    if chosen.rule:
        # As expressions, so that the index of failed runs is read, not all of a rule or handler.
        conditions.append(r.c.rule.concat("") == chosen.rule)
    if chosen.handler:
        conditions.append(r.c.handler.concat("") == chosen.handler)
    if chosen.application:
        name = p.c.application
        ends = name.endswith(f"/{chosen.application}", autoescape=True)
        conditions.append((name == chosen.application) | ends)
    if chosen.since is not None:
        conditions.append(r.c.ended_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(r.c.ended_at < chosen.until)
    return conditions


def retry_found(uow: UnitOfWork, act: Act, runs: Sequence[Run]) -> None:
    """Make these runs due again, and their plans active, or waiting for a slot again."""
    wanted = tables.plans.c.id.in_({run.plan for run in runs})
    plans = {plan.id: plan for plan in read_plans(uow.connection, select_plans().where(wanted))}
    started = started_elsewhere(uow.connection, [run.id for run in runs])
    for plan_id, group in groupby(sorted(runs, key=_place), lambda run: run.plan):
        retried, plan = list(group), plans[plan_id]
        state = _reopen_plan(uow, plan)
        for run in retried:
            keeps = run.id not in started  # what was started there has come to a bad end
            uow.add(_RETRIED, _retried_row(uow, run, state, keeps=keeps))
            data: dict[str, Json] = {**act.event_data, "key": run.key_number + 1}
            uow.events.append(run_event("run.retried", run, data))
        if any(run.section == "actions" for run in retried):
            _reopen_runs(uow, act, plan_id)
        if state is PlanState.WAITING:
            uow.events.append(waiting_event(plan))


def _place(run: Run) -> tuple[str, int, int]:
    return run.plan, run.step, run.target_index or 0


def _reopen_plan(uow: UnitOfWork, plan: Plan) -> PlanState:
    """Signal the plan; one that had ended needs a slot again."""
    signal(uow, plan.id)
    if not plan.state.has(Trait.RETRYABLE):
        return plan.state
    state, position = enqueue_plan(uow, plan.concurrency_key, plan.concurrency_limit)
    uow.change(
        tables.plans, plan.id, state=state.value, queue_position=position, reason="", ended_at=None
    )
    return state


def _retried_row(uow: UnitOfWork, run: Run, plan: PlanState, *, keeps: bool) -> Row:
    """Return what a run becomes: due now, due when its plan has a slot, or not rendered yet."""
    ready = run.rendered and plan is PlanState.ACTIVE
    return {
        "run": run.id,
        "new_state": (RunState.DUE if run.rendered else RunState.WAITING).value,
        "new_ready": ready,
        "new_virtual_time": next_virtual_time(uow, run.flow) if run.rendered else 0,
        "new_due_at": uow.now if ready else None,
        "new_handler_state": run.handler_state if keeps else None,
    }


def _reopen_runs(uow: UnitOfWork, act: Act, plan: str) -> None:
    """Let the runs wait again that were skipped because another one had failed.

    If there is another failure, the plan's next step skips them again. `onFailure` has run once and
    is left as it is.
    """
    r = tables.runs.c
    skipped = select_runs().where(
        r.plan_id == plan, r.state == RunState.SKIPPED.value,
        r.skip_cause == SkipCause.EARLIER_FAILURE.value,
    )  # fmt: skip
    for run in read_runs(uow.connection, skipped.order_by(r.id)):
        uow.change(
            tables.runs, run.id, state=RunState.WAITING.value, reason="", skip_cause=None,
            ended_at=None,
        )  # fmt: skip
        data: dict[str, Json] = {"by": act.by, "was": run.reason}
        uow.events.append(run_event("run.reopened", run, data))


_RETRIED = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(
        state=bindparam("new_state"), ready=bindparam("new_ready"),
        virtual_time=bindparam("new_virtual_time"), due_at=bindparam("new_due_at"),
        handler_state=bindparam("new_handler_state"), reason="", failures=0,
        key_number=tables.runs.c.key_number + 1, output=None, first_attempt_at=None,
        ended_at=None, paused_at=PAUSED_AT,
    )
)  # fmt: skip
