"""The slots of a concurrency key: which plans have one, which wait, which is next."""

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, func, select, text, update

from receiver.core.states import PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.signals import signal

QUEUE_WINDOW = 100
"""Plans of one key that are looked at when slots become free; with one limit for a key,
the first of them are those that are next."""

_OPEN = text(f"SELECT COUNT(*) FROM plans WHERE concurrency_key = :key AND {tables.STARTED_PLAN}")
_LAST = text(
    f"SELECT MAX(queue_position) FROM plans WHERE concurrency_key = :key AND {tables.STARTED_PLAN}"
)


def enqueue_plan(
    uow: UnitOfWork, key: str | None, limit: int | None
) -> tuple[PlanState, int | None]:
    """Put a plan at the end of its key's queue.

    The plan itself must not be stored as open yet.

    Returns:
        Whether it is active or waits for a slot, and its position in the queue.
    """
    if key is None:
        return PlanState.ACTIVE, None
    position = uow.next_number("queue_position", key, lambda: _count(uow, _LAST, key))
    many = uow.next_number("open", key, lambda: _count(uow, _OPEN, key))
    return (PlanState.WAITING if many > (limit or 1) else PlanState.ACTIVE), position


def end_plan(
    uow: UnitOfWork, plan: str, state: PlanState, reason: str = "", key: str | None = None
) -> None:
    """End a plan; the slot of its concurrency key goes to the next plan."""
    uow.change(tables.plans, plan, state=state.value, reason=reason, ended_at=uow.now)
    activate_next(uow, key)


def activate_next(uow: UnitOfWork, key: str | None) -> None:
    """Make the plans that are next active, as many as the key has slots for.

    To be called after a plan of this key has ended, however it ended.
    """
    if key is None:
        return
    uow.flush()
    uow.reset_number("open", key)
    p = tables.plans
    # The index's own condition as well, without which all plans that there ever were are read.
    mine = (p.c.concurrency_key == key) & text(tables.STARTED_PLAN)
    busy = select(func.count()).where(mine, p.c.state == PlanState.ACTIVE.value)
    active = uow.connection.execute(busy).scalar_one()
    line = select(p.c.id, p.c.concurrency_limit).where(mine, p.c.state == PlanState.WAITING.value)
    rows = uow.connection.execute(line.order_by(p.c.queue_position).limit(QUEUE_WINDOW)).all()
    for row in rows:
        if active < row.concurrency_limit:
            uow.change(p, row.id, state=PlanState.ACTIVE.value)
            signal(uow, row.id)
            uow.connection.execute(_RELEASE_RETRIED, {"plan": row.id, "now": uow.now})
            active += 1


_RELEASE_RETRIED = (
    update(tables.runs)
    .where(tables.runs.c.plan_id == bindparam("plan"))
    .where(text(f"{tables.state_in([RunState.DUE])} AND NOT ready AND due_at IS NULL"))
    .values(ready=True, due_at=bindparam("now"))
)
"""A run that was retried while its plan had to wait for a slot is due without a time."""


def _count(uow: UnitOfWork, query: TextClause, key: str) -> int:
    uow.flush()
    return int(uow.connection.scalar(query, {"key": key}) or 0)
