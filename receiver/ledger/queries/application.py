"""The newest syncs of one Application, and the runs of one of them, as Argo CD's page shows them.

An answer is small, however much a sync has set going.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, literal, select

from receiver.core.states import RunState, Trait
from receiver.ledger import tables
from receiver.ledger.queries.application_rows import (
    ApplicationRuns,
    PlanOfApplication,
    RunOfApplication,
    SyncOfApplication,
)
from receiver.ledger.queries.details import plans_of
from receiver.ledger.queries.row_mapping import columns, read_rows
from receiver.ledger.queries.rows import PlanOfSync, Sync
from receiver.ledger.queries.waits_for import add_plan_waits, add_unplanned_reasons, add_waits
from receiver.notification.own import OWN_CHANNEL

MOST_RUNS = 200
"""Runs of a sync that are shown."""

_S, _P, _R = tables.syncs.c, tables.plans.c, tables.runs.c


def syncs_of_application(
    connection: Connection, sender: str, application: str, limit: int
) -> list[Sync]:
    """List the newest syncs that a sender has notified of an Application (``namespace/name``)."""
    query = select(*columns(tables.syncs, Sync)).where(
        _S.application == application, _S.sender == sender, _S.channel != OWN_CHANNEL
    )
    return read_rows(connection, query.order_by(_S.id.desc()).limit(limit), Sync)


@dataclass(frozen=True, slots=True)
class Collected:
    """A sync that a plan has collected: whose it is."""

    plan: str
    sender: str
    application: str
    project: str


def collected_with(connection: Connection, syncs: Sequence[str]) -> list[Collected]:
    """Return all syncs that plans of these have collected (`debounce`), others' among them."""
    m = tables.plan_syncs.c
    theirs = select(m.plan_id).where(m.sync_id.in_(syncs))
    query = (
        select(m.plan_id, _S.sender, _S.application, _S.project)
        .join(tables.syncs, _S.id == m.sync_id)
        .where(m.plan_id.in_(theirs))
    )
    return [Collected(*row) for row in connection.execute(query)]


def with_plans(
    connection: Connection, now: int, syncs: Sequence[Sync], closed: Collection[str]
) -> list[SyncOfApplication]:
    """Add the plans of these syncs.

    Args:
        connection: sees the syncs.
        now: in milliseconds.
        syncs: of one Application.
        closed: plans of which no more than the rule and the state is told.
    """
    add_unplanned_reasons(connection, now, syncs)
    plans = plans_of(connection, [sync["id"] for sync in syncs])
    every = [plan for group in plans.values() for plan in group]
    add_plan_waits(connection, now, every)
    for plan in every:
        if plan["id"] in closed:
            plan["reason"], plan["waitsFor"] = "", ""
    runs = _count_runs(connection, [plan["id"] for plan in every if plan["id"] not in closed])
    return [_lean(sync, [_lean_plan(plan, runs) for plan in plans[sync["id"]]]) for sync in syncs]


def runs_of_sync(
    connection: Connection, now: int, sync: str, closed: Collection[str]
) -> ApplicationRuns:
    """List the runs of a sync's plans but the closed ones; ``now`` in milliseconds."""
    plans = [plan["id"] for plan in plans_of(connection, [sync])[sync] if plan["id"] not in closed]
    well = case((_R.state.in_(RunState.where(Trait.SUCCESS)), 1), else_=0)
    query = select(*columns(tables.runs, RunOfApplication), literal("").label("waitsFor"))
    query = query.where(_R.plan_id.in_(plans)).order_by(well, _R.id).limit(MOST_RUNS)
    runs = read_rows(connection, query, RunOfApplication)
    add_waits(connection, now, runs)
    there = connection.scalar(select(func.count()).where(_R.plan_id.in_(plans))) or 0
    return {"runs": runs, "more": there - len(runs)}


def _count_runs(connection: Connection, plans: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    query = select(_R.plan_id, _R.state, func.count().label("n")).where(_R.plan_id.in_(plans))
    for row in connection.execute(query.group_by(_R.plan_id, _R.state)):
        found[row.plan_id][row.state] = row.n
    return found


def _lean_plan(plan: PlanOfSync, runs: Mapping[str, Mapping[str, int]]) -> PlanOfApplication:
    counts = runs.get(plan["id"], {})
    return {
        "id": plan["id"], "rule": plan["rule"], "state": plan["state"], "reason": plan["reason"],
        "waitsFor": plan["waitsFor"],
        "runs": {state.value: counts[state] for state in RunState if state in counts},
    }  # fmt: skip


def _lean(sync: Sync, plans: list[PlanOfApplication]) -> SyncOfApplication:
    return {
        "id": sync["id"], "channel": sync["channel"], "phase": sync["phase"],
        "revision": sync["revision"], "finishedAt": sync["finishedAt"],
        "receivedAt": sync["receivedAt"], "state": sync["state"], "reason": sync["reason"],
        "resources": sync["resources"], "changed": sync["changed"], "plans": plans,
    }  # fmt: skip
