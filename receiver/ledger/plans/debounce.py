"""Collects syncs into one plan (`debounce`), in the transaction that plans each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, literal, select, text, update

from receiver.core.model import Event, Json, from_ms, rfc3339
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import Row, UnitOfWork
from receiver.ledger.plans.records import Collect, NewPlan, Planning
from receiver.ledger.plans.start import end_collecting
from receiver.ledger.plans.supersede import identity

Target = dict[str, Any]
Moments = Mapping[str, tuple[int, str]]

MOST_SYNCS = 1_000
MOST_RESOURCES = 50_000
MOST_BYTES = 32 << 20
"""Syncs of one plan, what they list and how large their notifications are together. All of them are
read when a wave of the plan is rendered, and a resource that was read costs some 2 KB."""

_NEW = insert(tables.plans)
_JOIN = text(
    "INSERT INTO plan_syncs (plan_id, sync_id, sync_finished_at, joined_at) "
    "VALUES (:plan, :sync, :sync_finished_at, :now) ON CONFLICT (plan_id, sync_id) DO NOTHING"
)
_GROW = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(targets=bindparam("all_targets"), due_at=bindparam("new_due_at"))
)
_NEWEST = ("sync_id", "application", "sync_finished_at", "concurrency_key", "concurrency_limit")
_RENEW = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values({name: bindparam(f"new_{name}") for name in _NEWEST})
)


@dataclass(frozen=True, slots=True)
class Room:
    """The row of a plan that collects, and what it has once the sync at hand has joined it."""

    plan: Any
    targets: Sequence[Target]
    moments: Moments


def room_for(uow: UnitOfWork, planning: Planning, plan: NewPlan, collect: Collect) -> Room | None:
    """Find the plan that collects syncs of this key, None if the sync is to begin one.

    A plan that has no room for the sync starts at once.
    """
    uow.flush()
    p = tables.plans
    query = select(p).where(p.c.collect_key == collect.key, text(tables.COLLECTING_PLAN))
    row = uow.connection.execute(query).one_or_none()
    if row is None:
        return None
    moments = _moments(uow, row.id) | {planning.sync: (plan.sync_finished_at, planning.sync)}
    room = Room(row, union(json.loads(row.targets), plan.targets, moments), moments)
    too_much = _too_much(uow, planning.sync, room, collect.most)
    if not too_much:
        return room
    data: dict[str, Json] = {"rule": row.rule, "reason": f"with sync {planning.sync} {too_much}"}
    uow.events.append(Event("plan.filled", data, sync=row.sync_id, plan=row.id))
    end_collecting(uow, row)
    uow.flush()
    return None


def _too_much(uow: UnitOfWork, sync: str, room: Room, most: int) -> str:
    """Say what a plan would have too much of, "" if it has room."""
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


def begin(uow: UnitOfWork, planning: Planning, plan: NewPlan, collect: Collect, row: Row) -> None:
    """Store a plan's row as one that collects from now on."""
    due = uow.now + min(collect.window, collect.longest)
    uow.add(_NEW, row | {"collect_key": collect.key, "due_at": due})
    uow.add(_JOIN, _member(uow, plan.id, planning.sync, plan.sync_finished_at))
    data: dict[str, Json] = {"rule": plan.rule, "until": _moment(due)}
    uow.events.append(Event("plan.collecting", data, sync=planning.sync, plan=plan.id))


def join(uow: UnitOfWork, planning: Planning, plan: NewPlan, collect: Collect, room: Room) -> None:
    """Add a sync to a plan that collects: its targets, and more time for others to come."""
    row, moments = room.plan, room.moments
    due = min(uow.now + collect.window, row.created_at + collect.longest)
    uow.add(_JOIN, _member(uow, row.id, planning.sync, plan.sync_finished_at))
    uow.add(_GROW, {"plan": row.id, "all_targets": dumps(room.targets), "new_due_at": due})
    if moments[planning.sync] >= (row.sync_finished_at, row.sync_id):
        values = (planning.sync, planning.application, plan.sync_finished_at, plan.key, plan.limit)
        named = {f"new_{name}": value for name, value in zip(_NEWEST, values, strict=True)}
        uow.add(_RENEW, {"plan": row.id} | named)
    data: dict[str, Json] = {"rule": plan.rule, "syncs": len(moments), "until": _moment(due)}
    uow.events.append(Event("plan.joined", data, sync=planning.sync, plan=row.id))


def union(there: Sequence[Target], more: Sequence[Target], moments: Moments) -> list[Target]:
    """Return the targets of all syncs; of one resource that of the sync that finished last."""
    found: dict[tuple[str, str, str], Target] = {}
    for target in (*there, *more):
        name = identity(target)
        before = found.get(name)
        if before is None or moments[target["sync"]] >= moments[before["sync"]]:
            found[name] = target
    return list(found.values())


def _member(uow: UnitOfWork, plan: str, sync: str, sync_finished_at: int) -> Row:
    return {"plan": plan, "sync": sync, "sync_finished_at": sync_finished_at, "now": uow.now}


def _moments(uow: UnitOfWork, plan: str) -> dict[str, tuple[int, str]]:
    m = tables.plan_syncs
    rows = uow.connection.execute(
        select(m.c.sync_id, m.c.sync_finished_at).where(m.c.plan_id == plan)
    )
    return {row.sync_id: (row.sync_finished_at, row.sync_id) for row in rows}


def _moment(ms: int) -> str:
    return rfc3339(from_ms(ms))
