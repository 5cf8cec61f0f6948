"""Reads which syncs a plan has collected (`debounce`), and which plans have collected a sync."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from receiver.ledger import tables


def plans_with(connection: Connection, syncs: Sequence[str]) -> dict[str, list[str]]:
    """Return, by sync, the plans that have collected it and belong to a newer one."""
    m, p = tables.plan_syncs, tables.plans
    query = (
        select(m.c.sync_id, m.c.plan_id)
        .join(p, p.c.id == m.c.plan_id)
        .where(m.c.sync_id.in_(syncs), p.c.sync_id != m.c.sync_id)
        .order_by(m.c.plan_id)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.sync_id, []).append(row.plan_id)
    return found


def syncs_of(connection: Connection, plans: Sequence[str]) -> dict[str, list[str]]:
    """Return, by plan, the syncs that it has collected, the newest last; none for other plans."""
    m = tables.plan_syncs
    query = select(m.c.plan_id, m.c.sync_id).where(m.c.plan_id.in_(plans))
    found: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(m.c.newest, m.c.sync_id)):
        found.setdefault(row.plan_id, []).append(row.sync_id)
    return found
