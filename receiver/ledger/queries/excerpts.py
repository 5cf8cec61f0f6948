"""One sync, plan or run as the page shows it: bounded, however many runs and attempts it has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from receiver.core.states import RunState, Trait
from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.queries.details import (
    IN_TURN,
    about_plans,
    about_run,
    about_sync,
    count_matched,
    first_and_last_tries,
    plans_of,
    syncs_of,
    with_tries,
)
from receiver.ledger.queries.row_mapping import (
    AT_ONCE,
    columns,
    read_by,
    read_one,
    read_rows,
)
from receiver.ledger.queries.rows import (
    ActedPlan,
    ActedRun,
    Delivery,
    Event,
    PlanExcerpt,
    PlanExcerptStory,
    PlanHead,
    RunStory,
    RunWithTries,
    Sync,
    SyncExcerpt,
)
from receiver.ledger.queries.told import read_lines, tell_syncs

AGAIN = ("run.retried", "run.reopened")
"""The events with which a run that had ended waits again."""

MOST = 1000
"""Of these events that are read: the last."""


def _rank(state: RunState) -> int:
    """Return how soon somebody should look at a run of this state; what went well is last."""
    if state is RunState.FAILED:
        return 0
    if state.has(Trait.APPROVABLE):
        return 1
    if not state.ended:
        return 2
    return 4 if state is RunState.SUCCEEDED else 3


_RANK = case({state.value: _rank(state) for state in RunState}, value=tables.runs.c.state)


def sync_excerpt(
    connection: Connection, sync: str, runs: int, lines: int, binding: Binding = UNBOUND
) -> SyncExcerpt | None:
    """Return a sync with so many runs of each plan, and so many of its last lines."""
    found = read_one(connection, tables.syncs, sync, Sync, binding.of_syncs(tables.syncs.c.id))
    if found is None:
        return None
    tell_syncs([found], binding)
    deliveries = read_by(connection, tables.deliveries, "sync", [sync], Delivery)
    plans = _excerpts(connection, plans_of(connection, [sync], binding)[sync], runs)
    return {
        **found,
        "deliveries": deliveries.get(sync, []),
        "plans": plans,
        "again": _begun_again(connection, plans),
        "events": _last_lines(connection, about_sync(connection, sync, binding), lines, binding),
    }


def plan_excerpt(
    connection: Connection, plan: str, runs: int, lines: int, binding: Binding = UNBOUND
) -> PlanExcerptStory | None:
    """Return a plan with so many of its runs, and so many of its last lines."""
    seen = binding.of_rules(tables.plans.c.rule)
    found = read_one(connection, tables.plans, plan, ActedPlan, seen)
    if found is None:
        return None
    events = _last_lines(connection, about_plans(connection, [plan]), lines)
    (excerpt,) = _excerpts(connection, [found], runs)
    return {**excerpt, "targets": found["targets"], "events": events}


def run_excerpt(
    connection: Connection, run: str, lines: int, binding: Binding = UNBOUND
) -> RunStory | None:
    """Return a run with its first and last attempts, and so many of its last lines."""
    seen = binding.of_rules(tables.runs.c.rule)
    found = read_one(connection, tables.runs, run, ActedRun, seen)
    if found is None:
        return None
    p = tables.plans.c
    application = connection.scalar(select(p.application).where(p.id == found["plan"])) or ""
    tries = first_and_last_tries(connection, [run]).get(run, [])
    events = _last_lines(connection, about_run(connection, run), lines)
    return {**with_tries(found, application, tries), "events": events}


def _excerpts(connection: Connection, plans: Sequence[PlanHead], most: int) -> list[PlanExcerpt]:
    ids = [plan["id"] for plan in plans]
    syncs, counts = syncs_of(connection, ids), _counts(connection, ids)
    matched = count_matched(connection, ids)
    rows = _first_runs(connection, ids, most)
    tries = first_and_last_tries(connection, [row["id"] for row in rows])
    applications = {plan["id"]: plan["application"] for plan in plans}
    runs: dict[str, list[RunWithTries]] = {}
    for row in rows:
        run = with_tries(row, applications[row["plan"]], tries.get(row["id"], []))
        runs.setdefault(row["plan"], []).append(run)
    return [
        {
            **plan,
            "waitsFor": "",
            "syncs": syncs.get(plan["id"], [plan["sync"]]),
            "matched": matched.get(plan["id"], 0),
            "counts": counts.get(plan["id"], {}),
            "runs": runs.get(plan["id"], []),
        }
        for plan in plans
    ]


def _counts(connection: Connection, plans: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the runs of each plan by state; the states as `_rank` orders them."""
    r = tables.runs.c
    query = select(r.plan_id, r.state, func.count().label("runs"))
    query = query.group_by(r.plan_id, r.state).order_by(r.plan_id, _RANK, r.state)
    found: dict[str, dict[str, int]] = {}
    for start in range(0, len(plans), AT_ONCE):
        asked = query.where(r.plan_id.in_(plans[start : start + AT_ONCE]))
        for row in connection.execute(asked):
            found.setdefault(row.plan_id, {})[row.state] = row.runs
    return found


def _first_runs(connection: Connection, plans: Sequence[str], most: int) -> list[ActedRun]:
    """Return so many runs of each plan, in their turn; what did not go well is taken first."""
    r = tables.runs.c
    order = (_RANK, *IN_TURN, r.id)
    place = func.row_number().over(partition_by=r.plan_id, order_by=order).label("place")
    query = select(*columns(tables.runs, ActedRun)).order_by(r.plan_id, *IN_TURN, r.id)
    found: list[ActedRun] = []
    for start in range(0, len(plans), AT_ONCE):
        asked = r.plan_id.in_(plans[start : start + AT_ONCE])
        placed = select(r.id, place).where(asked).subquery()
        first = select(placed.c.id).where(placed.c.place <= most)
        found += read_rows(connection, query.where(r.id.in_(first)), ActedRun)
    return found


def _begun_again(connection: Connection, plans: Sequence[PlanExcerpt]) -> list[Event]:
    """Return the lines with which these runs were opened again, the last of them, in order."""
    e = tables.audit_events.c
    runs = {run["id"]: run["sync"] for plan in plans for run in plan["runs"]}
    ids, found = list(runs), list[Event]()
    for start in range(0, len(ids), AT_ONCE):
        asked = ids[start : start + AT_ONCE]
        syncs = sorted({runs[one] for one in asked})
        about = and_(e.sync_id.in_(syncs), e.run_id.in_(asked), e.name.in_(AGAIN))
        found += _last_lines(connection, about, MOST)
    return found


def _last_lines(
    connection: Connection, about: ColumnElement[bool], most: int, binding: Binding = UNBOUND
) -> list[Event]:
    """Return the last lines of the trail that are about something, in order."""
    e = tables.audit_events
    query = select(e).where(about).order_by(e.c.seq.desc()).limit(most)
    return read_lines(connection, query, binding)[::-1]
