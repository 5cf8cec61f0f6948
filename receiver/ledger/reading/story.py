"""One sync, plan or run with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from receiver.ledger import tables
from receiver.ledger.collected import plans_with, syncs_of, told_of
from receiver.ledger.messages import lines_of_messages
from receiver.ledger.reading.rows import (
    ATTEMPT,
    DELIVERY,
    PLAN,
    RUN,
    SYNC,
    Row,
    columns,
    grouped,
    shown,
    shown_event,
)


def sync_story(connection: Connection, sync: str) -> Row | None:
    """Tell a sync: its deliveries, plans with runs and attempts, and events in order."""
    found = _one(connection, tables.syncs, sync, SYNC)
    if found is None:
        return None
    deliveries = grouped(connection, tables.deliveries, "sync_id", [sync], DELIVERY)
    return {
        **found,
        "deliveries": deliveries.get(sync, []),
        "plans": _with_runs(connection, plans_of(connection, [sync])[sync]),
        "events": _events_of_sync(connection, sync),
    }


def plan_story(connection: Connection, plan: str) -> Row | None:
    """Tell a plan: its runs with their attempts, and its events."""
    found = _one(connection, tables.plans, plan, PLAN)
    if found is None:
        return None
    e = tables.audit_events.c
    about = (e.sync_id == found["sync"]) & (e.plan_id == plan)
    return _with_runs(connection, [found])[0] | {"events": _events(connection, about)}


def run_story(connection: Connection, run: str) -> Row | None:
    """Tell a run: its attempts and its events."""
    found = _one(connection, tables.runs, run, RUN)
    if found is None:
        return None
    p, e = tables.plans.c, tables.audit_events.c
    application = connection.scalar(select(p.application).where(p.id == found["plan"]))
    about = (e.sync_id == found["sync"]) & (e.run_id == run)
    tries = grouped(connection, tables.attempts, "run_id", [run], ATTEMPT)
    return found | {
        "application": application,
        "tries": tries.get(run, []),
        "events": _events(connection, about),
    }


def plans_of(connection: Connection, syncs: Sequence[str]) -> dict[str, list[Row]]:
    """Return the plans of each sync: its own, and those of newer syncs that have collected it."""
    own = grouped(connection, tables.plans, "sync_id", list(syncs), PLAN)
    joined = plans_with(connection, syncs)
    wanted = sorted({plan for plans in joined.values() for plan in plans})
    shared = grouped(connection, tables.plans, "id", wanted, PLAN)
    return {
        sync: own.get(sync, []) + [row for plan in joined.get(sync, []) for row in shared[plan]]
        for sync in syncs
    }


def _with_runs(connection: Connection, plans: list[Row]) -> list[Row]:
    ids = [plan["id"] for plan in plans]
    syncs = syncs_of(connection, ids)
    runs = grouped(connection, tables.runs, "plan_id", ids, RUN)
    every = [run["id"] for group in runs.values() for run in group]
    tries = grouped(connection, tables.attempts, "run_id", every, ATTEMPT)
    return [
        plan
        | {
            "syncs": syncs.get(plan["id"], [plan["sync"]]),
            "runs": [
                run | {"application": plan["application"], "tries": tries.get(run["id"], [])}
                for run in runs.get(plan["id"], [])
            ],
        }
        for plan in plans
    ]


def _events_of_sync(connection: Connection, sync: str) -> list[Row]:
    e = tables.audit_events
    about = (e.c.sync_id == sync) | e.c.seq.in_(lines_of_messages(connection, sync))
    if joined := plans_with(connection, [sync]).get(sync):
        about |= told_of(connection, joined)
    return _events(connection, about)


def _events(connection: Connection, about: Any) -> list[Row]:
    e = tables.audit_events
    return [
        shown_event(row) for row in connection.execute(select(e).where(about).order_by(e.c.seq))
    ]


def _one(connection: Connection, table: Any, wanted: str, names: tuple[str, ...]) -> Row | None:
    query = select(*columns(table, names)).where(table.c.id == wanted)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else shown(row)
