"""Reads back what is to be worked on: syncs to plan, and plans that are under way."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, text

from receiver.ledger import tables
from receiver.ledger.planning import PlannedSync, StoredPlan, StoredSync
from receiver.model import PlanState, SyncState


def new_syncs(connection: Connection, limit: int) -> list[StoredSync]:
    """The oldest syncs that nobody has planned."""
    s, d = tables.syncs, tables.deliveries
    query = (
        select(
            s.c.id, s.c.delivery_id, s.c.sender, s.c.channel, s.c.received_at, d.c.query, d.c.body
        )
        .join(d, d.c.id == s.c.delivery_id)
        .where(text("syncs.state = 'new'"))
        .order_by(s.c.id)
        .limit(limit)
    )
    return [_stored(row) for row in connection.execute(query)]


def stored_sync(connection: Connection, sync: str) -> StoredSync:
    """Read one sync back."""
    s, d = tables.syncs, tables.deliveries
    query = (
        select(
            s.c.id, s.c.delivery_id, s.c.sender, s.c.channel, s.c.received_at, d.c.query, d.c.body
        )
        .join(d, d.c.id == s.c.delivery_id)
        .where(s.c.id == sync)
    )
    return _stored(connection.execute(query).one())


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


def stirred_plans(connection: Connection, limit: int) -> list[StoredPlan]:
    """Plans under way to which something has happened since somebody last looked."""
    p, s, r = tables.plans, tables.syncs, tables.runs
    query = (
        select(p, s.c.image_verdicts)
        .join(s, s.c.id == p.c.sync_id)
        .where(text("stirred > 0"))
        .order_by(p.c.id)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    collected = _collected(connection, [row.id for row in rows if row.collect_key is not None])
    wanted = [r.c[name] for name in _RUN_COLUMNS]
    runs: dict[str, list[Mapping[Any, Any]]] = {row.id: [] for row in rows}
    found = connection.execute(
        select(r.c.plan_id, *wanted)
        .where(r.c.plan_id.in_(list(runs)))
        .order_by(r.c.section, r.c.step, r.c.target_index)
    )
    for run in found.mappings():
        runs[run["plan_id"]].append(run)
    return [
        StoredPlan(
            row.id, row.sync_id, row.rule_set, row.rule, row.application, PlanState(row.state),
            json.loads(row.targets), row.concurrency_key, row.stirred,
            collected.get(row.id) or (PlannedSync(row.sync_id, read_verdicts(row.image_verdicts)),),
            (row.newer_plan, row.newer_sync) if row.newer_plan else None, tuple(runs[row.id]),
        )
        for row in rows
    ]  # fmt: skip


def _collected(connection: Connection, plans: Sequence[str]) -> dict[str, tuple[PlannedSync, ...]]:
    """The syncs of each of these plans, in the order in which they finished."""
    m, s = tables.plan_syncs, tables.syncs
    query = (
        select(m.c.plan_id, s.c.id, s.c.image_verdicts)
        .join(s, s.c.id == m.c.sync_id)
        .where(m.c.plan_id.in_(plans))
        .order_by(m.c.newest, m.c.sync_id)
    )
    found: dict[str, tuple[PlannedSync, ...]] = {}
    for row in connection.execute(query) if plans else ():
        planned = PlannedSync(row.id, read_verdicts(row.image_verdicts))
        found[row.plan_id] = (*found.get(row.plan_id, ()), planned)
    return found


def planned_images(connection: Connection, sync: str) -> tuple[str | None, dict[int, bool]]:
    """Return the rule set that a sync was planned with, None if it was not, and the verdicts."""
    s = tables.syncs
    query = select(s.c.rule_set, s.c.state, s.c.image_verdicts).where(s.c.id == sync)
    row = connection.execute(query).one_or_none()
    if row is None or row.state != SyncState.PLANNED.value:
        return None, {}
    return row.rule_set, read_verdicts(row.image_verdicts)


def read_verdicts(told: str | None) -> dict[int, bool]:
    """Read the verdicts on a sync's images back from its row."""
    return {int(number): verdict for number, verdict in json.loads(told or "{}").items()}


_RUN_COLUMNS = (
    "id", "section", "step", "action", "wave", "target", "target_index", "state", "reason",
    "output", "attempts",
)  # fmt: skip
