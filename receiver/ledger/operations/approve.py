"""An operator lets go on what is held: a plan by its rule's `limits`, a run by `suspend`.

So does one whose plan waits for its resources to be healthy, for Applications or for further syncs:
it goes on with what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import bindparam, update

from receiver.core.errors import StateConflict
from receiver.core.states import PlanState, RunState, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_plan, find_run, run_event
from receiver.ledger.plans.plan import Plan
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.plans.start import end_collecting, go_on, start_stored
from receiver.ledger.queue.fair_queueing import next_virtual_time
from receiver.ledger.queue.pauses import PAUSED_AT

WAYS_ON: Mapping[PlanState, Callable[[UnitOfWork, Plan], None]] = {
    PlanState.COLLECTING: end_collecting,
    PlanState.HELD: go_on,
    PlanState.GATED: start_stored,
}
"""How a plan that waits goes on when somebody approves it."""


def approve_plan(uow: UnitOfWork, act: Act, plan: str) -> list[str]:
    """Let a plan that waits go on; of a plan that has started, all of its held runs.

    What it has still to wait for, as for healthy resources after its syncs, it waits for then.

    Returns:
        The runs that this lets go: all that wait of such a plan, else those that were held.

    Raises:
        UnknownId: there is no such plan.
        StateConflict: neither the plan nor one of its runs is held.
    """
    found = find_plan(uow, act, plan)
    held = _runs(uow, plan, RunState.HELD)
    if found.state in WAYS_ON:
        held = _runs(uow, plan, RunState.WAITING)
        awaited = found.awaited.event_data if found.awaited else {}
        uow.events.append(found.event("plan.approved", {**awaited, **act.event_data}))
        WAYS_ON[found.state](uow, found)
    elif found.state is PlanState.ACTIVE and held:
        _approve_runs(uow, act, held)
    else:
        raise StateConflict(
            f"plan {plan} is {found.state}, and nothing of it is held", state=found.state,
            hint="only what is held, gated or collecting is approved; GET /v1/plans?state=held "
            "lists what is held",
        )  # fmt: skip
    return [run.id for run in held]


def approve_run(uow: UnitOfWork, act: Act, run: str) -> None:
    """Make a held run due.

    Raises:
        UnknownId: there is no such run.
        StateConflict: it is not held.
    """
    found = find_run(uow, act, run)
    if not found.state.has(Trait.APPROVABLE):
        raise StateConflict(
            f"run {run} is {found.state}", state=found.state,
            hint="only what is held is approved; GET /v1/runs?state=held lists it",
        )  # fmt: skip
    _approve_runs(uow, act, [found])


def _runs(uow: UnitOfWork, plan: str, state: RunState) -> list[Run]:
    r = tables.runs.c
    query = select_runs().where(r.plan_id == plan, r.state == state.value)
    return read_runs(uow.connection, query.order_by(r.step, r.target_index))


def _approve_runs(uow: UnitOfWork, act: Act, runs: list[Run]) -> None:
    for run in runs:
        uow.events.append(run_event("run.approved", run, act.event_data))
        virtual_time = next_virtual_time(uow, run.flow)
        uow.add(_DUE, {"run": run.id, "new_virtual_time": virtual_time, "now": uow.now})


_DUE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(
        state=RunState.DUE.value, ready=True, virtual_time=bindparam("new_virtual_time"),
        due_at=bindparam("now"), paused_at=PAUSED_AT,
    )
)  # fmt: skip
