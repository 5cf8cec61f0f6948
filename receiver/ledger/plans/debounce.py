"""Collects syncs into one plan (`debounce`, `throttle`), in the transaction that plans each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, literal, select, text

from receiver.contract.durations import duration_text
from receiver.core.model import Json, from_ms, rfc3339
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import Row, UnitOfWork
from receiver.ledger.plans.plan import Plan, Target, insert_plan, read_plans, select_plans
from receiver.ledger.plans.records import Collect
from receiver.ledger.plans.start import end_collecting
from receiver.ledger.plans.supersede import identity
from receiver.ledger.plans.throttle import next_begin

Moments = Mapping[str, tuple[int, str]]

MOST_SYNCS = 1_000
MOST_RESOURCES = 50_000
MOST_BYTES = 32 << 20
"""Syncs of one plan, what they list and how large their notifications are together. All of them are
read when a wave of the plan is rendered, and a resource that was read costs some 2 KB."""

_JOIN = text(
    "INSERT INTO plan_syncs (plan_id, sync_id, sync_finished_at, joined_at) "
    "VALUES (:plan, :sync, :sync_finished_at, :now) ON CONFLICT (plan_id, sync_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Room:
    """A plan that collects, and what it has once the sync at hand has joined it."""

    plan: Plan
    targets: Sequence[Target]
    moments: Moments


def room_for(uow: UnitOfWork, new: Plan, collect: Collect) -> Room | None:
    """Return the plan that collects syncs of this key, None if a new plan is to begin.

    A plan that has no room for the sync starts at once.
    """
    uow.flush()
    p = tables.plans.c
    query = select_plans().where(p.collect_key == collect.key, text(tables.COLLECTING_PLAN))
    plan = next(read_plans(uow.connection, query), None)
    if plan is None:
        return None
    moments = _moments(uow, plan.id) | {new.sync: (new.sync_finished_at, new.sync)}
    room = Room(plan, union(plan.targets, new.targets, moments), moments)
    too_much = _too_much(uow, new.sync, room, collect.most)
    if not too_much:
        return room
    uow.events.append(plan.event("plan.filled", {"reason": f"with sync {new.sync} {too_much}"}))
    end_collecting(uow, plan)
    uow.flush()
    return None


def _too_much(uow: UnitOfWork, sync: str, room: Room, most: int) -> str:
    """Return what a plan would have too much of, "" if it has room."""
    s, d, m = tables.syncs.c, tables.deliveries.c, tables.plan_syncs.c
    members = select(m.sync_id).where(m.plan_id == room.plan.id).union(select(literal(sync)))
    query = (
        select(func.sum(s.resources), func.sum(d.size))
        .join(tables.deliveries, d.id == s.delivery_id)
        .where(s.id.in_(members))
    )
    listed, size = map(int, uow.connection.execute(query).one())
    bounds = (
        (len(room.targets), most, "targets"),
        (len(room.moments), MOST_SYNCS, "syncs"),
        (listed, MOST_RESOURCES, "resources in its syncs"),
        (size, MOST_BYTES, "bytes of notifications"),
    )
    return next(
        (f"it would have {there} {what}, more than {bound}" for there, bound, what in bounds
         if there > bound), "",
    )  # fmt: skip


def begin(uow: UnitOfWork, new: Plan, collect: Collect) -> None:
    """Store a new plan as one that collects from now on, or that starts at once (`throttle`)."""
    awaited, every = collect.awaited, collect.every
    if every is None:
        due = uow.now + (collect.longest if awaited else min(collect.window, collect.longest))
        reason = awaited.reason if awaited else ""
    else:
        due = next_begin(uow, collect.key, every)
        reason = f"throttle lets one plan begin every {duration_text(every / 1000)}"
    begun = replace(new, collect_key=collect.key, due_at=due, awaited=awaited, reason=reason)
    insert_plan(uow, begun)
    uow.add(_JOIN, _member(uow, new.id, new))
    if due > uow.now:
        why: dict[str, Json] = {"reason": reason} if every is not None else {}
        uow.events.append(new.event("plan.collecting", {"until": rfc3339(from_ms(due)), **why}))
    else:
        uow.flush()
        end_collecting(uow, begun)


def join(uow: UnitOfWork, new: Plan, collect: Collect, room: Room) -> None:
    """Add the sync of a new plan to one that collects: its targets, and more time for others."""
    plan, moments = room.plan, room.moments
    due = plan.due_at or uow.now
    if plan.awaited is None and collect.every is None:
        due = min(uow.now + collect.window, plan.created_at + collect.longest)
        uow.change(tables.plans, plan.id, due_at=due)
    uow.add(_JOIN, _member(uow, plan.id, new))
    uow.change(tables.plans, plan.id, targets=dumps(room.targets))
    if new.order[:2] >= plan.order[:2]:
        uow.change(
            tables.plans, plan.id, sync_id=new.sync, application=new.application,
            sync_finished_at=new.sync_finished_at, concurrency_key=new.concurrency_key,
            concurrency_limit=new.concurrency_limit,
        )  # fmt: skip
    data: dict[str, Json] = {"syncs": len(moments), "until": rfc3339(from_ms(due))}
    uow.events.append(replace(new, id=plan.id).event("plan.joined", data))


def union(there: Sequence[Target], more: Sequence[Target], moments: Moments) -> list[Target]:
    """Return the targets of all syncs; of one resource that of the sync that finished last."""
    found: dict[tuple[str, str, str], Target] = {}
    for target in (*there, *more):
        name = identity(target)
        before = found.get(name)
        if before is None or moments[target["sync"]] >= moments[before["sync"]]:
            found[name] = target
    return list(found.values())


def _member(uow: UnitOfWork, plan: str, new: Plan) -> Row:
    return {
        "plan": plan, "sync": new.sync, "sync_finished_at": new.sync_finished_at, "now": uow.now
    }  # fmt: skip


def _moments(uow: UnitOfWork, plan: str) -> dict[str, tuple[int, str]]:
    m = tables.plan_syncs
    rows = uow.connection.execute(
        select(m.c.sync_id, m.c.sync_finished_at).where(m.c.plan_id == plan)
    )
    return {row.sync_id: (row.sync_finished_at, row.sync_id) for row in rows}
