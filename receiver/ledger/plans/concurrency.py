"""The places under a concurrency key: who has one, who waits in line, who is next."""

from __future__ import annotations

from sqlalchemy import TextClause, bindparam, func, select, text, update

from receiver.core.states import PlanState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import Batch

LINE = 100
"""Plans of one key that are looked at when places become free; with one limit for a key,
the first of them are those that are next."""

_OPEN = text(f"SELECT COUNT(*) FROM plans WHERE concurrency_key = :key AND {tables.OPEN_PLAN}")
_LAST = text(f"SELECT MAX(place) FROM plans WHERE concurrency_key = :key AND {tables.OPEN_PLAN}")


def take_place(batch: Batch, key: str | None, limit: int | None) -> tuple[PlanState, int | None]:
    """Put a plan at the end of its key's line; whether it is active or waits, and its number.

    The plan itself must not be stored as open yet.
    """
    if key is None:
        return PlanState.ACTIVE, None
    place = batch.number("line", key, lambda: _count(batch, _LAST, key))
    many = batch.number("open", key, lambda: _count(batch, _OPEN, key))
    return (PlanState.WAITING if many > (limit or 1) else PlanState.ACTIVE), place


def admit(batch: Batch, key: str | None) -> None:
    """Make the plans that are next active, as many as the key has places for.

    To be called after a plan of this key has ended, however it ended.
    """
    if key is None:
        return
    batch.flush()
    batch.forget("open", key)
    p = tables.plans
    mine = p.c.concurrency_key == key
    busy = select(func.count()).where(mine, p.c.state == PlanState.ACTIVE.value)
    active = batch.connection.execute(busy).scalar_one()
    line = select(p.c.id, p.c.concurrency_limit).where(mine, p.c.state == PlanState.WAITING.value)
    rows = batch.connection.execute(line.order_by(p.c.place).limit(LINE)).all()
    for row in rows:
        if active < row.concurrency_limit:
            batch.connection.execute(_ADMITTED, {"plan": row.id})
            batch.connection.execute(_LET_GO, {"plan": row.id, "now": batch.now})
            active += 1


_ADMITTED = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(state=PlanState.ACTIVE.value, stirred=tables.plans.c.stirred + 1)
)

_LET_GO = (
    update(tables.runs)
    .where(tables.runs.c.plan_id == bindparam("plan"))
    .where(text("state = 'due' AND NOT ready AND due_at IS NULL"))
    .values(ready=True, due_at=bindparam("now"))
)
"""A run that was retried while its plan had to wait for a place is due without a time."""


def _count(batch: Batch, query: TextClause, key: str) -> int:
    batch.flush()
    return int(batch.connection.scalar(query, {"key": key}) or 0)
