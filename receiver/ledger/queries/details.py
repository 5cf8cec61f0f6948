"""One sync, plan or run with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from receiver.ledger import tables
from receiver.ledger.queries.debounced import plans_with, syncs_of
from receiver.ledger.queries.event_filters import about_plans, about_run, about_sync
from receiver.ledger.queries.rows import (
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
        "events": _events(connection, about_sync(connection, sync)),
    }


def plan_story(connection: Connection, plan: str) -> Row | None:
    """Tell a plan: its runs with their attempts, and its events."""
    found = _one(connection, tables.plans, plan, PLAN)
    if found is None:
        return None
    events = _events(connection, about_plans(connection, [plan]))
    return _with_runs(connection, [found])[0] | {"events": events}


def run_story(connection: Connection, run: str) -> Row | None:
    """Tell a run: its attempts and its events."""
    found = _one(connection, tables.runs, run, RUN)
    if found is None:
        return None
    p = tables.plans.c
    application = connection.scalar(select(p.application).where(p.id == found["plan"]))
    tries = grouped(connection, tables.attempts, "run_id", [run], ATTEMPT)
    return found | {
        "application": application,
        "tries": tries.get(run, []),
        "events": _events(connection, about_run(connection, run)),
    }


def plans_of(connection: Connection, syncs: Sequence[str]) -> dict[str, list[Row]]:
    """Return the plans of each sync, in order of time; those that collected it are among them."""
    own = grouped(connection, tables.plans, "sync_id", list(syncs), PLAN)
    joined = plans_with(connection, syncs)
    wanted = sorted({plan for plans in joined.values() for plan in plans})
    shared = grouped(connection, tables.plans, "id", wanted, PLAN)
    return {
        sync: sorted(
            own.get(sync, []) + [row for plan in joined.get(sync, []) for row in shared[plan]],
            key=lambda plan: str(plan["id"]),
        )
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


def _events(connection: Connection, about: ColumnElement[bool]) -> list[Row]:
    e = tables.audit_events
    return [
        shown_event(row) for row in connection.execute(select(e).where(about).order_by(e.c.seq))
    ]


def _one(connection: Connection, table: Any, wanted: str, names: tuple[str, ...]) -> Row | None:
    query = select(*columns(table, names)).where(table.c.id == wanted)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else shown(row)
