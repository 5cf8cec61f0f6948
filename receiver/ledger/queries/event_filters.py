"""Which lines of the trail a sync, a plan or a run has; stories and the trail's filters agree."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, select

from receiver.ledger import tables
from receiver.ledger.inbox.hook_messages import message_events


def about_sync(connection: Connection, sync: str) -> ColumnElement[bool]:
    """Its own lines, those of its hooks' messages, and all lines of plans that collected it."""
    e, m = tables.audit_events.c, tables.plan_syncs.c
    about = (e.sync_id == sync) | e.seq.in_(message_events(connection, sync))
    collected = connection.scalars(select(m.plan_id).where(m.sync_id == sync)).all()
    return about | about_plans(connection, collected) if collected else about


def about_plans(connection: Connection, plans: Sequence[str]) -> ColumnElement[bool]:
    """The lines of these plans, whichever of their syncs each names."""
    e, p = tables.audit_events.c, tables.plans.c
    newest = connection.scalars(select(p.sync_id).where(p.id.in_(plans)))
    collected = syncs_of(connection, plans).values()
    syncs = {*newest, *(sync for group in collected for sync in group)}
    return and_(e.sync_id.in_(sorted(syncs)), e.plan_id.in_(plans))


def about_run(connection: Connection, run: str) -> ColumnElement[bool]:
    """The lines of a run: its sync, known by the run's row, leads to them by an index."""
    e, r = tables.audit_events.c, tables.runs.c
    sync = connection.scalar(select(r.sync_id).where(r.id == run))
    return and_(e.sync_id == (sync or ""), e.run_id == run)


def syncs_of(connection: Connection, plans: Sequence[str]) -> dict[str, list[str]]:
    """Return, by plan, the syncs that it has collected, the newest last; none for other plans."""
    m = tables.plan_syncs
    query = select(m.c.plan_id, m.c.sync_id).where(m.c.plan_id.in_(plans))
    found: dict[str, list[str]] = {}
    for row in connection.execute(query.order_by(m.c.sync_finished_at, m.c.sync_id)):
        found.setdefault(row.plan_id, []).append(row.sync_id)
    return found
