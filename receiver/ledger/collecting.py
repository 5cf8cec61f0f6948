"""Collects syncs into one plan (`debounce`), in the transaction that plans each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update

from receiver.ledger import tables
from receiver.ledger.batch import Batch, Row
from receiver.ledger.planning import Collect, NewPlan, Planning
from receiver.ledger.storable import dumps
from receiver.ledger.superseding import identity
from receiver.model import Event, Json, from_ms, rfc3339

Target = dict[str, Any]

_NEW = insert(tables.plans)
_JOIN = text(
    "INSERT INTO plan_syncs (plan_id, sync_id, newest, joined_at) "
    "VALUES (:plan, :sync, :newest, :now) ON CONFLICT (plan_id, sync_id) DO NOTHING"
)
_GROW = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(targets=bindparam("all_targets"), due_at=bindparam("new_due_at"))
)
_NEWEST = ("sync_id", "application", "newest", "concurrency_key", "concurrency_limit")
_RENEW = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values({name: bindparam(f"new_{name}") for name in _NEWEST})
)


def collecting_plan(batch: Batch, collect: Collect) -> Any:
    """Return the row of the plan that collects syncs of this key, None if there is none."""
    batch.flush()
    p = tables.plans
    query = select(p).where(p.c.collect_key == collect.key, text(tables.COLLECTING_PLAN))
    return batch.connection.execute(query).one_or_none()


def begin(batch: Batch, planning: Planning, plan: NewPlan, collect: Collect, row: Row) -> None:
    """Store a plan's row as one that collects from now on."""
    due = batch.now + min(collect.window, collect.longest)
    batch.add(_NEW, row | {"collect_key": collect.key, "due_at": due})
    batch.add(_JOIN, _member(batch, plan.id, planning.sync, plan.newest))
    data: dict[str, Json] = {"rule": plan.rule, "until": _moment(due)}
    batch.events.append(Event("plan.collecting", data, sync=planning.sync, plan=plan.id))


def join(batch: Batch, planning: Planning, plan: NewPlan, collect: Collect, row: Any) -> None:
    """Add a sync to a plan that collects: its targets, and more time for others to come."""
    moments = _moments(batch, row.id) | {planning.sync: (plan.newest, planning.sync)}
    targets = union(json.loads(row.targets), plan.targets, moments)
    due = min(batch.now + collect.window, row.created_at + collect.longest)
    batch.add(_JOIN, _member(batch, row.id, planning.sync, plan.newest))
    batch.add(_GROW, {"plan": row.id, "all_targets": dumps(targets), "new_due_at": due})
    if moments[planning.sync] >= (row.newest, row.sync_id):
        values = (planning.sync, planning.application, plan.newest, plan.key, plan.limit)
        named = {f"new_{name}": value for name, value in zip(_NEWEST, values, strict=True)}
        batch.add(_RENEW, {"plan": row.id} | named)
    data: dict[str, Json] = {"rule": plan.rule, "syncs": len(moments), "until": _moment(due)}
    batch.events.append(Event("plan.joined", data, sync=planning.sync, plan=row.id))


def union(
    there: Sequence[Target], more: Sequence[Target], moments: Mapping[str, tuple[int, str]]
) -> list[Target]:
    """Return the targets of all syncs; of one resource that of the sync that finished last."""
    found: dict[tuple[str, str, str], Target] = {}
    for target in (*there, *more):
        name = identity(target)
        before = found.get(name)
        if before is None or moments[target["sync"]] >= moments[before["sync"]]:
            found[name] = target
    return list(found.values())


def _member(batch: Batch, plan: str, sync: str, newest: int) -> Row:
    return {"plan": plan, "sync": sync, "newest": newest, "now": batch.now}


def _moments(batch: Batch, plan: str) -> dict[str, tuple[int, str]]:
    m = tables.plan_syncs
    rows = batch.connection.execute(select(m.c.sync_id, m.c.newest).where(m.c.plan_id == plan))
    return {row.sync_id: (row.newest, row.sync_id) for row in rows}


def _moment(ms: int) -> str:
    return rfc3339(from_ms(ms))
