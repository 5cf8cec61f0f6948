"""Starts plans: new ones, those that have collected long enough, and those that were approved."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, select, text, update

from receiver.core.model import Event, Json
from receiver.core.states import PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.concurrency import enqueue_plan
from receiver.ledger.plans.records import hold_reason
from receiver.ledger.plans.signals import signal
from receiver.ledger.plans.supersede import Entrant, supersede_older
from receiver.ledger.queue.fair_queueing import next_virtual_time
from receiver.ledger.queue.pauses import OWN_MARK

COLLECTED = 32
"""Plans that one transaction starts because their time has come; the next one takes the rest."""

_COLLECTED = text(
    f"SELECT id FROM plans WHERE {tables.COLLECTING_PLAN} AND due_at <= :now "
    f"ORDER BY due_at LIMIT {COLLECTED}"
)
_STATE = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(
        state=bindparam("new_state"), reason=bindparam("why"),
        queue_position=bindparam("new_position"),
        due_at=None,
    )
)  # fmt: skip


def start(
    uow: UnitOfWork, plan: Entrant, key: str | None, limit: int | None
) -> tuple[PlanState, int | None]:
    """Supersede the older plans that a plan makes needless, and queue it under its concurrency key.

    Returns:
        Whether it is active or waits, and its position in the queue of the key.
    """
    supersede_older(uow, plan)
    state, position = enqueue_plan(uow, key, limit)
    if state is PlanState.WAITING:
        data: dict[str, Json] = {"rule": plan.rule, "key": key, "limit": limit}
        uow.events.append(Event("plan.waiting", data, sync=plan.sync, plan=plan.id))
    return state, position


def start_collected(uow: UnitOfWork) -> None:
    """Start the plans whose time of collecting is over."""
    for plan in uow.connection.scalars(_COLLECTED, {"now": uow.now}).all():
        row = _row(uow, plan, PlanState.COLLECTING)
        if row is not None:  # else superseded by one that has just started
            end_collecting(uow, row)


def end_collecting(uow: UnitOfWork, row: Any) -> None:
    """Have a plan collect no more: it starts, or with too many targets it is held."""
    reason = hold_reason(len(json.loads(row.targets)), row.hold_above)
    if reason:
        uow.add(_STATE, _change(row.id, PlanState.HELD, reason))
        uow.events.append(held_event(row.rule, row.sync_id, row.id, reason))
    else:
        _start_row(uow, row)


def start_held(uow: UnitOfWork, plan: str) -> PlanState | None:
    """Start a held plan, because somebody has approved it.

    Returns:
        What it is now: active, or waiting for a slot; None if it is not held.
    """
    row = _row(uow, plan, PlanState.HELD)
    return None if row is None else _start_row(uow, row)


def start_held_runs(uow: UnitOfWork, plan: str, run: str = "") -> list[str]:
    """Make the held runs of a plan due, or one of them, because somebody has approved it.

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


def held_event(rule: str, sync: str, plan: str, reason: str) -> Event:
    """Tell of a plan that waits for an approval."""
    return Event("plan.held", {"rule": rule, "reason": reason}, sync=sync, plan=plan)


_DUE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values(
        state=RunState.DUE.value, ready=True, virtual_time=bindparam("new_virtual_time"),
        due_at=bindparam("now"),
        paused_at=OWN_MARK,
    )
)  # fmt: skip


def _row(uow: UnitOfWork, plan: str, state: PlanState) -> Any:
    uow.flush()
    p = tables.plans
    query = select(p).where(p.c.id == plan, p.c.state == state.value)
    return uow.connection.execute(query).one_or_none()


def _start_row(uow: UnitOfWork, row: Any) -> PlanState:
    targets = json.loads(row.targets)
    entrant = Entrant(row.id, row.sync_id, row.rule, row.series, row.sync_finished_at, targets)
    state, position = start(uow, entrant, row.concurrency_key, row.concurrency_limit)
    uow.add(_STATE, _change(row.id, state, "", position))
    if state is PlanState.ACTIVE:
        signal(uow, row.id)
    return state


def _change(
    plan: str, state: PlanState, reason: str, position: int | None = None
) -> dict[str, Any]:
    return {"plan": plan, "new_state": state.value, "why": reason, "new_position": position}
