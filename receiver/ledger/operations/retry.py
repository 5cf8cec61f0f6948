"""An operator repeats what failed, with the parameters that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select, text, update

from receiver.core.errors import StateConflict
from receiver.core.model import Json
from receiver.core.states import PlanState, RunState, SkipCause, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_plan, find_run, plan_event, run_event
from receiver.ledger.plans.concurrency import enqueue_plan
from receiver.ledger.plans.signals import signal
from receiver.ledger.queue.fair_queueing import next_virtual_time
from receiver.ledger.queue.pauses import OWN_MARK
from receiver.ledger.queue.started_elsewhere import started_elsewhere

HINTS = {
    RunState.SUCCEEDED: "to do it again, replay its sync: POST /v1/syncs/{sync}/replay",
    RunState.SKIPPED: "retry the run that failed: that opens again what it had skipped",
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
    row = find_run(uow, run)
    if not RunState(row.state).has(Trait.RETRYABLE):
        hint = HINTS.get(RunState(row.state), UNDER_WAY).format(run=run, sync=row.sync_id)
        raise StateConflict(
            f"run {run} is {row.state}; only one that failed or was cancelled is retried",
            state=row.state, hint=hint,
        )  # fmt: skip
    if row.state == RunState.FAILED.value and not row.rendered:
        raise StateConflict(
            f"run {run} has no parameters to repeat: it was {row.reason}", state=row.state,
            hint=f"mend the rule, then replay the sync: POST /v1/syncs/{row.sync_id}/replay",
        )  # fmt: skip
    newer = find_plan(uow, row.plan_id).newer_plan
    if newer:
        raise StateConflict(
            f"run {run} is {row.state}, and its plan is superseded by {newer}", state=row.state,
            hint="retry what failed of that one, or replay the sync",
        )  # fmt: skip
    retry_rows(uow, act, [row])


def failed_runs(uow: UnitOfWork, chosen: Chosen, limit: int) -> Sequence[Any]:
    """Return the rows of failed runs that can be retried, the oldest failure first."""
    r, p = tables.runs, tables.plans
    query = select(r).join(p, p.c.id == r.c.plan_id).where(text(f"runs.{tables.FAILED_RUN}"))
    query = query.where(*_conditions(chosen)).order_by(r.c.ended_at, r.c.id).limit(limit)
    return uow.connection.execute(query).all()


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


def retry_rows(uow: UnitOfWork, act: Act, rows: Sequence[Any]) -> None:
    """Make these runs due again, and their plans active, or waiting for a slot again."""
    p = tables.plans
    wanted = {row.plan_id for row in rows}
    plans = {row.id: row for row in uow.connection.execute(select(p).where(p.c.id.in_(wanted)))}
    started = started_elsewhere(uow.connection, [row.id for row in rows])
    for plan_id, group in groupby(sorted(rows, key=_place), lambda row: row.plan_id):
        runs = list(group)
        plan = plans[plan_id]
        state = _reopen_plan(uow, plan)
        for row in runs:
            keeps = row.id not in started  # what was started there has come to a bad end
            uow.add(_RETRIED, _retried_row(uow, row, state, keeps=keeps))
            data: dict[str, Json] = {**act.told, "key": row.key_number + 1}
            uow.events.append(run_event("run.retried", row, data))
        if any(row.section == "actions" for row in runs):
            _reopen_runs(uow, act, plan_id)
        if state is PlanState.WAITING:
            data = {"key": plan.concurrency_key, "limit": plan.concurrency_limit}
            uow.events.append(plan_event("plan.waiting", plan, data))


def _place(row: Any) -> tuple[str, int, int]:
    return row.plan_id, row.step, row.target_index or 0


def _reopen_plan(uow: UnitOfWork, plan: Any) -> PlanState:
    """Have the dispatcher look at the plan again; one that had ended needs a slot again."""
    signal(uow, plan.id)
    if not PlanState(plan.state).has(Trait.RETRYABLE):
        return PlanState(plan.state)
    state, position = enqueue_plan(uow, plan.concurrency_key, plan.concurrency_limit)
    uow.add(_REOPENED, {"plan": plan.id, "new_state": state.value, "new_position": position})
    return state


def _retried_row(uow: UnitOfWork, row: Any, plan: PlanState, *, keeps: bool) -> dict[str, Any]:
    """Say what becomes of a run: due now, due when its plan has a slot, or not rendered yet."""
    ready = row.rendered and plan is PlanState.ACTIVE
    return {
        "run": row.id,
        "new_state": (RunState.DUE if row.rendered else RunState.WAITING).value,
        "new_ready": ready,
        "new_virtual_time": next_virtual_time(uow, row.flow) if row.rendered else 0,
        "new_due_at": uow.now if ready else None,
        "new_handler_state": row.handler_state if keeps else None,
    }


def _reopen_runs(uow: UnitOfWork, act: Act, plan: str) -> None:
    """Have the runs wait again that were skipped because another one had failed.

    If there is another failure, the plan's next step skips them again. `onFailure` has run once and
    is left as it is.
    """
    r = tables.runs
    skipped = select(r).where(
        r.c.plan_id == plan, r.c.state == RunState.SKIPPED.value,
        r.c.skip_cause == SkipCause.EARLIER_FAILURE.value,
    )  # fmt: skip
    for row in uow.connection.execute(skipped.order_by(r.c.id)).all():
        uow.add(_WAITING, {"run": row.id})
        data: dict[str, Json] = {"by": act.by, "was": row.reason}
        uow.events.append(run_event("run.reopened", row, data))


_REOPENED = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(
        state=bindparam("new_state"), queue_position=bindparam("new_position"), reason="",
        ended_at=None,
    )
)  # fmt: skip
_RETRIED = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(
        state=bindparam("new_state"), ready=bindparam("new_ready"),
        virtual_time=bindparam("new_virtual_time"), due_at=bindparam("new_due_at"),
        handler_state=bindparam("new_handler_state"), reason="", failures=0,
        key_number=tables.runs.c.key_number + 1, output=None, first_attempt_at=None,
        ended_at=None, paused_at=OWN_MARK,
    )
)  # fmt: skip
_WAITING = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(state=RunState.WAITING.value, reason="", skip_cause=None, ended_at=None)
)
