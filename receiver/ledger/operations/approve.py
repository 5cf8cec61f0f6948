"""An operator lets go on what is held: a plan by its rule's `limits`, a run by `suspend`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from receiver.core.errors import StateConflict
from receiver.core.states import PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_plan, find_run, plan_event, run_event
from receiver.ledger.plans.start import start_held, start_held_runs


def approve_plan(uow: UnitOfWork, act: Act, plan: str) -> list[str]:
    """Start a held plan; of a plan that has started, let all of its held runs go on.

    Returns:
        The runs that this lets go: all that wait of a held plan, else those that were held.

    Raises:
        UnknownId: there is no such plan.
        StateConflict: neither the plan nor one of its runs is held.
    """
    row = find_plan(uow, plan)
    held = _runs(uow, plan, RunState.HELD)
    if row.state == PlanState.HELD.value:
        held = _runs(uow, plan, RunState.WAITING)
        uow.events.append(plan_event("plan.approved", row, act.told))
        start_held(uow, plan)
    elif row.state == PlanState.ACTIVE.value and held:
        _approve_runs(uow, act, held)
    else:
        raise StateConflict(
            f"plan {plan} is {row.state}, and nothing of it is held", state=row.state,
            hint="only what is held is approved; GET /v1/plans?state=held lists it",
        )  # fmt: skip
    return [run.id for run in held]


def approve_run(uow: UnitOfWork, act: Act, run: str) -> None:
    """Make a held run due.

    Raises:
        UnknownId: there is no such run.
        StateConflict: it is not held.
    """
    row = find_run(uow, run)
    if row.state != RunState.HELD.value:
        raise StateConflict(
            f"run {run} is {row.state}", state=row.state,
            hint="only what is held is approved; GET /v1/runs?state=held lists it",
        )  # fmt: skip
    _approve_runs(uow, act, [row])


def _runs(uow: UnitOfWork, plan: str, state: RunState) -> list[Any]:
    r = tables.runs
    query = select(r).where(r.c.plan_id == plan, r.c.state == state.value)
    return list(uow.connection.execute(query.order_by(r.c.step, r.c.target_index)))


def _approve_runs(uow: UnitOfWork, act: Act, rows: list[Any]) -> None:
    for row in rows:
        uow.events.append(run_event("run.approved", row, act.told))
        start_held_runs(uow, row.plan_id, row.id)
