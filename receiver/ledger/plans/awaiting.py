"""Plans that wait for Applications (`debounce.until`), and what is seen of these."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select, text, update

from receiver.core.states import PlanState, SyncState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.plan import Plan, read_plans, select_plans

AT_ONCE = 500
"""Applications that one query names."""

_P, _S = tables.plans.c, tables.syncs.c


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
    return list(read_plans(connection, query.order_by(_P.id)))


def syncs_at(
    connection: Connection, sender: str, revision: str, since: int, applications: Collection[str]
) -> dict[str, SyncSeen]:
    """Return the syncs of these Applications at a revision that have come since then, by name."""
    query = select(_S.application, _S.id, _S.phase, _S.state, _S.finished_at).where(
        _S.sender == sender, _S.revision == revision, _S.received_at >= since, _S.phase != ""
    )
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
