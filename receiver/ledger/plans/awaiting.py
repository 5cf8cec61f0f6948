"""Plans that wait for Applications (`debounce.until`), and what is seen of these."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text, update

from receiver.core.states import PlanState, SyncState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.plan import Plan, read_plans, select_plans

AT_ONCE = 500
"""Applications that one query names."""

_P, _S, _M = tables.plans.c, tables.syncs.c, tables.plan_syncs.c


@dataclass(frozen=True, slots=True)
class SyncSeen:
    """The newest sync of an Application at a revision; ``finished_at`` is in milliseconds."""

    id: str
    phase: str
    planned: bool
    finished_at: int | None


def awaiting_plans(connection: Connection) -> list[Plan]:
    """Return the plans that wait for Applications, the oldest first."""
    query = select_plans().where(text(f"plans.{tables.COLLECTING_PLAN}"), _P.awaited.is_not(None))
    # Sorted here: for the order SQLite would walk all plans that there ever were, by their ids.
    return sorted(read_plans(connection, query), key=lambda plan: plan.id)


def syncs_at(
    connection: Connection, plan: Plan, awaited: Awaited, applications: Collection[str]
) -> dict[str, SyncSeen]:
    """Return the newest syncs of these Applications at the plan's revision, by name.

    Those count that came with the plan's own syncs, or at most its longest wait before the first of
    them: a plan of a replay is made long after its syncs came.
    """
    members = select(_M.sync_id).where(_M.plan_id == plan.id)
    first = select(func.min(_S.received_at)).where(_S.id.in_(members))
    longest = (plan.due_at or plan.created_at) - plan.created_at
    since = (connection.execute(first).scalar() or plan.created_at) - longest
    query = select(_S.application, _S.id, _S.phase, _S.state, _S.finished_at).where(
        _S.sender == awaited.sender, _S.revision == ",".join(awaited.revisions),
        _S.received_at >= since, _S.phase != "",
    )  # fmt: skip
    found: dict[str, SyncSeen] = {}
    names = sorted(applications)
    for start in range(0, len(names), AT_ONCE):
        some = query.where(_S.application.in_(names[start : start + AT_ONCE]))
        for row in connection.execute(some.order_by(_S.finished_at)):
            planned = row.state not in {SyncState.NEW, SyncState.VERIFYING}
            found[row.application] = SyncSeen(row.id, row.phase, planned, row.finished_at)
    return found


def store_awaited(uow: UnitOfWork, plan: Plan, awaited: Awaited) -> None:
    """Store what was seen, unless the plan waits no longer; one whose wait is over starts next."""
    values: dict[str, object] = {"awaited": awaited.written, "reason": awaited.reason}
    if awaited.met:
        values["due_at"] = uow.now
    if not _change(uow, plan, values):
        return
    before = plan.awaited
    if before is None or before.news != awaited.news:
        uow.events.append(plan.event("plan.awaits", awaited.event_data))


def give_up(uow: UnitOfWork, plan: Plan, awaited: Awaited) -> None:
    """Let a plan whose sender has no connection wait for further syncs only."""
    due = min(uow.now + awaited.window, plan.due_at or uow.now)
    if _change(uow, plan, {"awaited": None, "reason": "", "due_at": due}):
        why = f"sender {awaited.sender} has no connection: it waits for further syncs alone"
        uow.events.append(plan.event("plan.awaits", {"reason": why}))


def _change(uow: UnitOfWork, plan: Plan, values: dict[str, object]) -> bool:
    still = update(tables.plans).where(_P.id == plan.id, _P.state == PlanState.COLLECTING.value)
    return bool(uow.connection.execute(still.values(values)).rowcount)
