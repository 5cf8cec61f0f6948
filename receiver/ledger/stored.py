"""Reads back what is to be worked on: syncs to plan, and plans that are under way."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, text

from receiver.ledger import tables
from receiver.ledger.memories import read_recalled
from receiver.ledger.planning import PlannedSync, StoredPlan, StoredSync
from receiver.memory import Recalled
from receiver.model import PlanState, SyncState

_S, _D, _P, _R = tables.syncs.c, tables.deliveries.c, tables.plans.c, tables.runs.c
_SYNCS = select(
    _S.id, _S.delivery_id, _S.sender, _S.channel, _S.received_at, _D.query, _D.body
).join(tables.deliveries, _D.id == _S.delivery_id)
_NEW = (
    _SYNCS.where(text("syncs.state = 'new'")).order_by(_S.id).limit(bindparam("most"))
)  # fmt: skip
_ONE = _SYNCS.where(_S.id == bindparam("sync"))


def new_syncs(connection: Connection, limit: int) -> list[StoredSync]:
    """The oldest syncs that nobody has planned."""
    return [_stored(row) for row in connection.execute(_NEW, {"most": limit})]


def stored_sync(connection: Connection, sync: str) -> StoredSync:
    """Read one sync back."""
    return _stored(connection.execute(_ONE, {"sync": sync}).one())


def _stored(row: Any) -> StoredSync:
    return StoredSync(
        row.id,
        row.delivery_id,
        row.sender,
        row.channel,
        row.received_at,
        json.loads(row.query),
        zlib.decompress(row.body),
    )


_RUN_COLUMNS = (
    "id", "section", "step", "action", "wave", "target", "target_index", "state", "reason",
    "output", "attempts",
)  # fmt: skip
_STIRRED = (
    select(tables.plans, _S.recalled)
    .join(tables.syncs, _S.id == _P.sync_id)
    .where(text("stirred > 0"))
    .order_by(_P.id)
    .limit(bindparam("most"))
)
_RUNS = (
    select(_R.plan_id, *(_R[name] for name in _RUN_COLUMNS))
    .where(_R.plan_id.in_(bindparam("plans", expanding=True)))
    .order_by(_R.section, _R.step, _R.target_index)
)


def stirred_plans(connection: Connection, limit: int) -> list[StoredPlan]:
    """Plans under way to which something has happened since somebody last looked."""
    rows = connection.execute(_STIRRED, {"most": limit}).all()
    collected = _collected(connection, [row.id for row in rows if row.collect_key is not None])
    runs: dict[str, list[Mapping[Any, Any]]] = {row.id: [] for row in rows}
    found = connection.execute(_RUNS, {"plans": list(runs)})
    for run in found.mappings():
        runs[run["plan_id"]].append(run)
    return [
        StoredPlan(
            row.id, row.sync_id, row.rule_set, row.rule, row.application, PlanState(row.state),
            json.loads(row.targets), row.concurrency_key, row.stirred,
            collected.get(row.id) or (PlannedSync(row.sync_id, read_recalled(row.recalled)),),
            (row.newer_plan, row.newer_sync) if row.newer_plan else None, tuple(runs[row.id]),
        )
        for row in rows
    ]  # fmt: skip


def _collected(connection: Connection, plans: Sequence[str]) -> dict[str, tuple[PlannedSync, ...]]:
    """The syncs of each of these plans, in the order in which they finished."""
    m, s = tables.plan_syncs, tables.syncs
    query = (
        select(m.c.plan_id, s.c.id, s.c.recalled)
        .join(s, s.c.id == m.c.sync_id)
        .where(m.c.plan_id.in_(plans))
        .order_by(m.c.newest, m.c.sync_id)
    )
    found: dict[str, tuple[PlannedSync, ...]] = {}
    for row in connection.execute(query) if plans else ():
        planned = PlannedSync(row.id, read_recalled(row.recalled))
        found[row.plan_id] = (*found.get(row.plan_id, ()), planned)
    return found


def planned_with(connection: Connection, sync: str) -> tuple[str | None, Recalled]:
    """Return a sync's rule set, None if it was not planned, and what was recalled for it."""
    s = tables.syncs
    query = select(s.c.rule_set, s.c.state, s.c.recalled).where(s.c.id == sync)
    row = connection.execute(query).one_or_none()
    if row is None or row.state != SyncState.PLANNED.value:
        return None, Recalled()
    return row.rule_set, read_recalled(row.recalled)
