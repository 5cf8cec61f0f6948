"""One sync, plan or run with all that belongs to it, and which lines of the trail do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, select

from receiver.ledger import tables
from receiver.ledger.inbox.hook_messages import message_events
from receiver.ledger.queries.row_mapping import read_by, read_events, read_one
from receiver.ledger.queries.rows import (
    ActedPlan,
    ActedRun,
    Attempt,
    Delivery,
    Event,
    Plan,
    PlanStory,
    PlanWithRuns,
    RunStory,
    RunWithTries,
    Sync,
    SyncDetails,
)

_R = tables.runs.c
IN_TURN = (_R.section, _R.wave, _R.step, _R.target_index)
"""The order of a plan's runs: as they begin, and in a wave as in the rule. Their ids have none."""


def sync_details(connection: Connection, sync: str) -> SyncDetails | None:
    """Return a sync: its deliveries, plans with runs and attempts, and events in order."""
    found = read_one(connection, tables.syncs, sync, Sync)
    if found is None:
        return None
    deliveries = read_by(connection, tables.deliveries, "sync", [sync], Delivery)
    return {
        **found,
        "deliveries": deliveries.get(sync, []),
        "plans": _with_runs(connection, plans_of(connection, [sync])[sync]),
        "events": _events(connection, about_sync(connection, sync)),
    }


def sync_state(connection: Connection, sync: str) -> tuple[str, str]:
    """Return the state of a sync that there is, and why it is so."""
    s = tables.syncs.c
    row = connection.execute(select(s.state, s.reason).where(s.id == sync)).one()
    return row.state, row.reason


def plan_story(connection: Connection, plan: str) -> PlanStory | None:
    """Return a plan: its runs with their attempts, and its events."""
    found = read_one(connection, tables.plans, plan, ActedPlan)
    if found is None:
        return None
    events = _events(connection, about_plans(connection, [plan]))
    return {**_with_runs(connection, [{**found, "waitsFor": ""}])[0], "events": events}


def run_story(connection: Connection, run: str) -> RunStory | None:
    """Return a run: its attempts and its events."""
    found = read_one(connection, tables.runs, run, ActedRun)
    if found is None:
        return None
    p = tables.plans.c
    application = connection.scalar(select(p.application).where(p.id == found["plan"])) or ""
    tries = read_by(connection, tables.attempts, "run", [run], Attempt).get(run, [])
    events = _events(connection, about_run(connection, run))
    return {**with_tries(found, application, tries), "events": events}


def plans_of(connection: Connection, syncs: Sequence[str]) -> dict[str, list[Plan]]:
    """Return the plans of each sync, in order of time; those that collected it are among them.

    What each waits for is not read.
    """
    own = read_by(connection, tables.plans, "sync", syncs, ActedPlan)
    collected_by = _collected_by(connection, syncs)
    others = {plan for plans in collected_by.values() for plan in plans}
    shared = read_by(connection, tables.plans, "id", sorted(others), ActedPlan)
    found = {
        sync: own.get(sync, []) + [row for one in collected_by.get(sync, []) for row in shared[one]]
        for sync in syncs
    }
    return {
        sync: [{**plan, "waitsFor": ""} for plan in sorted(plans, key=lambda plan: plan["id"])]
        for sync, plans in found.items()
    }


def _collected_by(connection: Connection, syncs: Sequence[str]) -> dict[str, list[str]]:
    """Return, by sync, the plans that have collected it (`debounce`) and belong to a newer one."""
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


def _with_runs(connection: Connection, plans: Sequence[Plan]) -> list[PlanWithRuns]:
    ids = [plan["id"] for plan in plans]
    syncs = syncs_of(connection, ids)
    runs = read_by(connection, tables.runs, "plan", ids, ActedRun, IN_TURN)
    every = [run["id"] for group in runs.values() for run in group]
    tries = read_by(connection, tables.attempts, "run", every, Attempt)
    return [
        {
            **plan,
            "syncs": syncs.get(plan["id"], [plan["sync"]]),
            "runs": [
                with_tries(run, plan["application"], tries.get(run["id"], []))
                for run in runs.get(plan["id"], [])
            ],
        }
        for plan in plans
    ]


def with_tries(run: ActedRun, application: str, tries: list[Attempt]) -> RunWithTries:
    """Return a run with these attempts; what it waits for is not read."""
    return {**run, "application": application, "waitsFor": "", "tries": tries}


def is_long(connection: Connection, kind: Literal["sync", "plan"], wanted: str, lines: int) -> bool:
    """Whether the trail has more than so many lines of a sync or a plan."""
    about = about_sync(connection, wanted) if kind == "sync" else about_plans(connection, [wanted])
    further = select(tables.audit_events.c.seq).where(about).offset(lines).limit(1)
    return connection.scalar(further) is not None


def _events(connection: Connection, about: ColumnElement[bool]) -> list[Event]:
    e = tables.audit_events
    return read_events(connection, select(e).where(about).order_by(e.c.seq))


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
