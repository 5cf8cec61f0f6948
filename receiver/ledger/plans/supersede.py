"""A newer plan supersedes an older one, where its rule has `onNewer: supersede`.

Newer is whose newest sync finished later; of one moment, whose sync came later; of one sync,
the plan that was made later. It supersedes a plan of its series whose targets are all among its
own, once it has started itself: what is held or collects may never start as it stands.
What is under way is finished: an attempt, and what the other side works on. What has not begun, and
what waits to be tried again because it failed for the time being, becomes `superseded`; then the
plan ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam

from receiver.core.model import Event, Json
from receiver.core.states import OPEN_PLANS, PlanState, RunState, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.plan import Plan, Target, read_plans, select_plans
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.plans.signals import signal
from receiver.ledger.queue.attempts import started_elsewhere, tried_in_vain

_NOT_BEGUN = RunState.where(Trait.OPEN, without=Trait.UNDER_WAY)


def identity(target: Target) -> tuple[str, str, str]:
    """Return the identity of a target; a plan that collects has several applications' resources."""
    return target.get("sender", ""), target.get("application", ""), target["resource"]


def newer_than(uow: UnitOfWork, plan: Plan, *, made_after: str = "") -> tuple[str, str] | None:
    """Return the newest plan that supersedes this one, and its sync.

    ``made_after`` narrows it to plans with a greater id: to those that were made later.
    """
    if plan.series is None:
        return None
    uow.flush()
    p = tables.plans
    query = _series(plan, PlanState.where(Trait.STARTED)).where(
        p.c.sync_finished_at >= plan.sync_finished_at, p.c.id > made_after
    )
    for other in read_plans(uow.connection, query.order_by(p.c.sync_finished_at.desc())):
        if other.order > plan.order and _covers(other.targets, plan.targets):
            return other.id, other.sync
    return None


def supersede_older(uow: UnitOfWork, plan: Plan) -> None:
    """Supersede what a plan that starts makes needless."""
    if plan.series is None:
        return
    uow.flush()
    p = tables.plans
    older = (
        p.c.sync_finished_at <= plan.sync_finished_at,
        p.c.newer_plan.is_(None),
        p.c.ended_at.is_(None),
    )
    query = _series(plan, OPEN_PLANS).where(*older)
    for older_plan in list(read_plans(uow.connection, query.order_by(p.c.id))):
        if older_plan.order < plan.order and _covers(plan.targets, older_plan.targets):
            _supersede(uow, older_plan, plan)
    uow.flush()


def newer_plans_of(uow: UnitOfWork, runs: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Return the newer plan, and its sync, of each of these runs whose work a newer plan does.

    They are runs that would be tried again, and of which nothing is under way elsewhere.
    """
    rows = uow.connection.execute(_OF_SERIES, {"runs": list(runs)}).all()
    plans = {row.run: Plan.from_row(row[:-1]) for row in rows}
    begun = started_elsewhere(uow.connection, list(plans)) if plans else set()
    found = {
        run: plan.newer or newer_than(uow, plan, made_after=plan.id)  # a replay follows older ones
        for run, plan in plans.items()
        if run not in begun
    }
    return {run: newer for run, newer in found.items() if newer is not None}


def supersede_returned(uow: UnitOfWork, runs: Sequence[str]) -> None:
    """End those of the runs that were claimed, and given back, whose work a newer plan does.

    While they were claimed they counted as under way when that plan started.
    """
    newer = newer_plans_of(uow, runs) if runs else {}
    due = tables.runs.c.id.in_(list(newer)), tables.runs.c.state == RunState.DUE.value
    query = select_runs().where(*due).order_by(tables.runs.c.id)
    for run in read_runs(uow.connection, query) if newer else ():
        _end_run(uow, run, superseded_reason(newer[run.id]))
        mark_superseded(uow, run.plan, newer[run.id])


def mark_superseded(uow: UnitOfWork, plan: str, newer: tuple[str, str]) -> None:
    """Mark a plan under way as superseded: its next step ends it, when what is under way has."""
    why = superseded_reason(newer)
    uow.change(tables.plans, plan, newer_plan=newer[0], newer_sync=newer[1], reason=why)
    signal(uow, plan)


def superseded_event(rule: str, sync: str, plan: str, newer: tuple[str, str]) -> Event:
    """Return the event of a superseded plan; ``newer`` is the newer plan and its sync."""
    data: dict[str, Json] = {"rule": rule, "newerPlan": newer[0], "newerSync": newer[1]}
    return Event("plan.superseded", data, sync=sync, plan=plan)


def superseded_reason(newer: tuple[str, str]) -> str:
    """Return why a plan or a run is superseded."""
    return f"superseded by plan {newer[0]} of sync {newer[1]}"


def _series(plan: Plan, states: Sequence[PlanState]) -> Select[Any]:
    p = tables.plans.c
    return select_plans().where(p.series == plan.series, p.id != plan.id, p.state.in_(states))


def _covers(wide: Sequence[Target], narrow: Sequence[Target]) -> bool:
    return set(map(identity, narrow)) <= set(map(identity, wide))


_OF_SERIES = (
    select_plans()
    .add_columns(tables.runs.c.id.label("run"))
    .join(tables.runs, tables.plans.c.id == tables.runs.c.plan_id)
    .where(
        tables.runs.c.id.in_(bindparam("runs", expanding=True)),
        tables.runs.c.section == "actions", tables.plans.c.series.is_not(None),
    )
)  # fmt: skip


def _supersede(uow: UnitOfWork, plan: Plan, by: Plan) -> None:
    query = select_runs().where(tables.runs.c.plan_id == plan.id).order_by(tables.runs.c.id)
    runs = read_runs(uow.connection, query)
    active = plan.state is PlanState.ACTIVE
    vain = _tried_in_vain(uow, runs)
    needless = [run for run in runs if _needless(run, vain, active=active)]
    if active and runs and not needless:
        return  # all of it has started: nothing is left that the newer one could do instead
    newer = by.id, by.sync
    why = superseded_reason(newer)
    for run in needless:
        _end_run(uow, run, why)
    if active:
        mark_superseded(uow, plan.id, newer)
        return
    uow.change(
        tables.plans, plan.id, state=PlanState.SUPERSEDED.value, reason=why, newer_plan=by.id,
        newer_sync=by.sync, due_at=None, ended_at=uow.now,
    )  # fmt: skip
    uow.events.append(superseded_event(plan.rule, plan.sync, plan.id, newer))
    if plan.concurrency_key is not None:
        uow.reset_number("open", plan.concurrency_key)


def supersede_gated(uow: UnitOfWork, plan: Plan, why: str) -> None:
    """End a plan that waits for its resources, because a newer operation has changed them."""
    query = select_runs().where(tables.runs.c.plan_id == plan.id).order_by(tables.runs.c.id)
    for run in read_runs(uow.connection, query):
        _end_run(uow, run, why)
    uow.change(
        tables.plans, plan.id, state=PlanState.SUPERSEDED.value, reason=why, due_at=None,
        ended_at=uow.now,
    )  # fmt: skip
    uow.events.append(plan.event("plan.superseded", {"reason": why}))


def _end_run(uow: UnitOfWork, run: Run, why: str) -> None:
    uow.change(
        tables.runs, run.id, state=RunState.SUPERSEDED.value, reason=why, ready=False,
        due_at=None, ended_at=uow.now,
    )  # fmt: skip
    data = {"rule": run.rule, "action": run.action, "target": run.target, "reason": why}
    uow.events.append(Event("run.superseded", data, sync=run.sync, plan=run.plan, run=run.id))


def _tried_in_vain(uow: UnitOfWork, runs: Sequence[Run]) -> set[str]:
    due = [run.id for run in runs if run.state is RunState.DUE and run.attempts]
    return tried_in_vain(uow.connection, due) if due else set()


def _needless(run: Run, vain: Collection[str], *, active: bool) -> bool:
    """Whether a run is left out; in a plan that is not active none is under way, retried or not."""
    begun = run.section != "actions" or (run.attempts > 0 and run.id not in vain)
    return run.state in _NOT_BEGUN and not (active and begun)
