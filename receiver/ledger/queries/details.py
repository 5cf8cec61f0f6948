"""What belongs to a sync, a plan or a run, and which lines of the trail do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    CompoundSelect,
    Connection,
    and_,
    cast,
    func,
    or_,
    select,
    union,
)

from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.inbox.hook_messages import message_events
from receiver.ledger.queries.row_mapping import (
    AT_ONCE,
    columns,
    read_by,
    read_rows,
)
from receiver.ledger.queries.rows import (
    ActedRun,
    Attempt,
    PlanHead,
    PlanOfSync,
    RunWithTries,
)

EDGE = 25
"""Attempts of a run that are read: the first so many, and the last so many."""

_R = tables.runs.c
IN_TURN = (_R.section, _R.wave, _R.step, _R.target_index)
"""The order of a plan's runs: as they begin, and in a wave as in the rule. Their ids have none."""


def sync_state(connection: Connection, sync: str) -> tuple[str, str]:
    """Return the state of a sync that there is, and why it is so."""
    s = tables.syncs.c
    row = connection.execute(select(s.state, s.reason).where(s.id == sync)).one()
    return row.state, row.reason


def plans_of(
    connection: Connection, syncs: Sequence[str], binding: Binding = UNBOUND
) -> dict[str, list[PlanOfSync]]:
    """Return the plans of each sync, in order of time; those that collected it are among them.

    What each waits for is not read.
    """
    own = read_by(connection, tables.plans, "sync", syncs, PlanHead)
    collected_by = _collected_by(connection, syncs)
    others = {plan for plans in collected_by.values() for plan in plans}
    shared = read_by(connection, tables.plans, "id", sorted(others), PlanHead)
    found = {
        sync: own.get(sync, []) + [row for one in collected_by.get(sync, []) for row in shared[one]]
        for sync in syncs
    }
    return {
        sync: [
            {**plan, "waitsFor": ""}
            for plan in sorted(plans, key=lambda plan: plan["id"]) if binding.owns(plan["rule"])
        ]
        for sync, plans in found.items()
    }  # fmt: skip


def plans_with(sync: str, binding: Binding = UNBOUND) -> CompoundSelect[Any]:
    """Select the plans of a sync: its own, and those that have collected it."""
    p, m = tables.plans.c, tables.plan_syncs.c
    own = select(p.id).where(p.sync_id == sync, *binding.of_rules(p.rule))
    if not binding.bound:
        return union(own, select(m.plan_id).where(m.sync_id == sync))
    collected = select(m.plan_id).where(m.sync_id == sync)
    return union(own, select(p.id).where(p.id.in_(collected), *binding.of_rules(p.rule)))


def count_matched(connection: Connection, plans: Sequence[str]) -> dict[str, int]:
    """Count the resources that each plan matched."""
    p = tables.plans.c
    on_postgres = connection.dialect.name == "postgresql"
    targets: ColumnElement[Any] = cast(p.targets, JSON) if on_postgres else p.targets
    query = select(p.id, func.json_array_length(targets)).where(p.id.in_(plans))
    return {row[0]: row[1] for row in connection.execute(query)}


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


def with_tries(run: ActedRun, application: str, tries: list[Attempt]) -> RunWithTries:
    """Return a run with these attempts; what it waits for is not read."""
    return {**run, "application": application, "waitsFor": "", "tries": tries}


def first_and_last_tries(connection: Connection, runs: Sequence[str]) -> dict[str, list[Attempt]]:
    """Return the first and the last attempts of each run, in order."""
    a, r = tables.attempts, tables.runs
    query = select(*columns(a, Attempt)).join(r, r.c.id == a.c.run_id)
    query = query.where(or_(a.c.number <= EDGE, a.c.number > r.c.attempts - EDGE))
    found: dict[str, list[Attempt]] = {}
    for start in range(0, len(runs), AT_ONCE):
        asked = a.c.run_id.in_(runs[start : start + AT_ONCE])
        rows = read_rows(connection, query.where(asked).order_by(*a.primary_key), Attempt)
        for row in rows:
            found.setdefault(row["run"], []).append(row)
    return found


def about_sync(
    connection: Connection, sync: str, binding: Binding = UNBOUND
) -> ColumnElement[bool]:
    """Its own lines, those of its hooks' messages, and all lines of plans that collected it."""
    e, m = tables.audit_events.c, tables.plan_syncs.c
    about = e.sync_id == sync
    collected = connection.scalars(select(m.plan_id).where(m.sync_id == sync)).all()
    if collected:
        about = about | about_plans(connection, collected)
    said = e.seq.in_(message_events(connection, sync, alone=binding.bound))
    return and_(about, *binding.of_lines(connection)) | said


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
