"""Starts plans: new ones, those that have collected long enough, and those that were approved."""

from __future__ import annotations

from sqlalchemy import bindparam, select, text, update

from receiver.core.model import Event, Json
from receiver.core.states import PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.concurrency import enqueue_plan
from receiver.ledger.plans.plan import Plan, read_plans, select_plans
from receiver.ledger.plans.records import hold_reason
from receiver.ledger.plans.signals import signal
from receiver.ledger.plans.supersede import supersede_older
from receiver.ledger.queue.fair_queueing import next_virtual_time
from receiver.ledger.queue.pauses import PAUSED_AT

COLLECTED = 32
"""Plans that one transaction starts because their time has come; the next one takes the rest."""

_COLLECTED = text(
    f"SELECT id FROM plans WHERE {tables.COLLECTING_PLAN} AND due_at <= :now "
    f"ORDER BY due_at LIMIT {COLLECTED}"
)


def start(uow: UnitOfWork, plan: Plan) -> tuple[PlanState, int | None]:
    """Supersede the older plans that a plan makes needless, and queue it under its concurrency key.

    Returns:
        Whether it is active or waits, and its position in the queue of the key.
    """
    supersede_older(uow, plan)
    state, position = enqueue_plan(uow, plan.concurrency_key, plan.concurrency_limit)
    if state is PlanState.WAITING:
        uow.events.append(waiting_event(plan))
    return state, position


def start_collected(uow: UnitOfWork) -> None:
    """Start the plans whose time of collecting is over."""
    for due in uow.connection.scalars(_COLLECTED, {"now": uow.now}).all():
        plan = _find(uow, due, PlanState.COLLECTING)
        if plan is not None:  # else superseded by one that has just started
            end_collecting(uow, plan)


def end_collecting(uow: UnitOfWork, plan: Plan) -> None:
    """Let a plan collect no more: it starts, or with too many targets it is held."""
    reason = hold_reason(len(plan.targets), plan.hold_above)
    if reason:
        _change(uow, plan, PlanState.HELD, reason)
        uow.events.append(held_event(plan, reason))
    else:
        _start_stored(uow, plan)


def start_held(uow: UnitOfWork, plan: str) -> PlanState | None:
    """Start a held plan, because an operator has approved it.

    Returns:
        What it is now: active, or waiting for a slot; None if it is not held.
    """
    held = _find(uow, plan, PlanState.HELD)
    return None if held is None else _start_stored(uow, held)


def start_held_runs(uow: UnitOfWork, plan: str, run: str = "") -> list[str]:
    """Make the held runs of a plan due, or one of them, because an operator has approved it.

    Returns:
        The ids of those that were held.
    """
    uow.flush()
    r = tables.runs
    query = select(r.c.id, r.c.flow).where(r.c.plan_id == plan, r.c.state == RunState.HELD.value)
    if run:
        query = query.where(r.c.id == run)
    held = uow.connection.execute(query.order_by(r.c.step, r.c.target_index)).all()
    for row in held:
        virtual_time = next_virtual_time(uow, row.flow)
        uow.add(_DUE, {"run": row.id, "new_virtual_time": virtual_time, "now": uow.now})
    return [row.id for row in held]


def held_event(plan: Plan, reason: str) -> Event:
    """Return the event of a plan that waits for an approval."""
    return plan.event("plan.held", {"reason": reason})


def waiting_event(plan: Plan) -> Event:
    """Return the event of a plan that waits for a slot of its concurrency key."""
    data: dict[str, Json] = {"key": plan.concurrency_key, "limit": plan.concurrency_limit}
    return plan.event("plan.waiting", data)


_DUE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(
        state=RunState.DUE.value, ready=True, virtual_time=bindparam("new_virtual_time"),
        due_at=bindparam("now"),
        paused_at=PAUSED_AT,
    )
)  # fmt: skip


def _find(uow: UnitOfWork, plan: str, state: PlanState) -> Plan | None:
    uow.flush()
    p = tables.plans.c
    query = select_plans().where(p.id == plan, p.state == state.value)
    return next(read_plans(uow.connection, query), None)


def _start_stored(uow: UnitOfWork, plan: Plan) -> PlanState:
    state, position = start(uow, plan)
    _change(uow, plan, state, "", position)
    if state is PlanState.ACTIVE:
        signal(uow, plan.id)
    return state


def _change(
    uow: UnitOfWork, plan: Plan, state: PlanState, reason: str, position: int | None = None
) -> None:
    uow.change(
        tables.plans, plan.id, state=state.value, reason=reason, queue_position=position,
        due_at=None,
    )  # fmt: skip
