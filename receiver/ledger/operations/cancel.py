"""An operator cancels a run, a plan or all plans of a sync.

An attempt that is under way is left to itself: it cannot be stopped on the other side, and its
outcome is not written any more, since its run is not `running`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from receiver.core.errors import StateConflict
from receiver.core.model import Json
from receiver.core.states import OPEN_PLANS, OPEN_RUNS, PlanState, RunState, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_plan, find_run, find_sync_state, run_event
from receiver.ledger.plans.concurrency import activate_next
from receiver.ledger.plans.plan import Plan, read_plans, select_plans
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.plans.signals import signal
from receiver.ledger.queue.attempts import update_attempt

_HINT = "only what has not ended is cancelled"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The ids of what an act has cancelled."""

    plans: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def cancel_run(uow: UnitOfWork, act: Act, run: str) -> Cancelled:
    """Cancel one run; for its wave that is a failure.

    Raises:
        UnknownId: there is no such run.
        StateConflict: it has ended.
    """
    found = find_run(uow, act, run)
    _refuse_ended("run", found)
    cancel_found(uow, act, [found])
    signal(uow, found.plan)
    return Cancelled(runs=(run,))


def _refuse_ended(kind: str, found: Run | Plan) -> None:
    if found.state.ended:
        raise StateConflict(
            f"{kind} {found.id} has ended: it is {found.state}", state=found.state, hint=_HINT
        )


def cancel_plan(uow: UnitOfWork, act: Act, plan: str) -> Cancelled:
    """Cancel a plan and what is open of it; its `onFailure` does not start.

    Raises:
        UnknownId: there is no such plan.
        StateConflict: it has ended.
    """
    found = find_plan(uow, act, plan)
    _refuse_ended("plan", found)
    return _cancel_plans(uow, act, [found])


def cancel_sync(uow: UnitOfWork, act: Act, sync: str) -> Cancelled:
    """Cancel the open plans of a sync.

    A plan that has collected several syncs belongs to the newest of them.

    Raises:
        UnknownId: there is no such sync.
        StateConflict: no plan of it is open.
    """
    state = find_sync_state(uow, act, sync)
    p = tables.plans
    query = select_plans().where(
        p.c.sync_id == sync, p.c.state.in_(OPEN_PLANS), *act.binding.of_rules(p.c.rule)
    )
    plans = list(read_plans(uow.connection, query.order_by(p.c.id)))
    if not plans:
        raise StateConflict(
            f"sync {sync} is {state}, and no plan of it is open", state=state,
            hint=_elsewhere(uow, act, sync) or _HINT,
        )  # fmt: skip
    return _cancel_plans(uow, act, plans)


def _elsewhere(uow: UnitOfWork, act: Act, sync: str) -> str:
    """Return a hint with the open plan of a newer sync that has collected this one, or ""."""
    p, m = tables.plans, tables.plan_syncs
    query = select(p.c.id).join(m, m.c.plan_id == p.c.id).where(*act.binding.of_rules(p.c.rule))
    query = query.where(m.c.sync_id == sync, p.c.state.in_(OPEN_PLANS)).limit(1)
    found = uow.connection.scalar(query)
    return f"plan {found} of a newer sync has it too: cancel that" if found else ""


def _cancel_plans(uow: UnitOfWork, act: Act, plans: Sequence[Plan]) -> Cancelled:
    r = tables.runs
    runs: list[str] = []
    for plan in plans:
        mine = r.c.plan_id == plan.id, r.c.state.in_(OPEN_RUNS)
        found = read_runs(uow.connection, select_runs().where(*mine).order_by(r.c.id))
        cancel_found(uow, act, found)
        runs += [run.id for run in found]
        signal(uow, plan.id)
        uow.change(
            tables.plans, plan.id, state=PlanState.CANCELLED.value, due_at=None,
            reason=act.reason_for("cancelled"), ended_at=uow.now,
        )  # fmt: skip
        data: dict[str, Json] = {**act.event_data, "runs": len(found)}
        uow.events.append(plan.event("plan.cancelled", data))
        activate_next(uow, plan.concurrency_key)
    return Cancelled(tuple(plan.id for plan in plans), tuple(runs))


def cancel_found(uow: UnitOfWork, act: Act, runs: Sequence[Run]) -> None:
    """Cancel these runs, which have not ended; who does it signals their plan."""
    why = act.reason_for("cancelled")
    for run in runs:
        uow.change(
            tables.runs, run.id, state=RunState.CANCELLED.value, reason=why, ended_at=uow.now,
            ready=False, due_at=None, owner=None, lease_until=None,
        )  # fmt: skip
        if run.state.has(Trait.UNDER_WAY):
            attempt = {"run": run.id, "attempt": run.attempts, "why": why, "now": uow.now}
            uow.add(_ATTEMPT, attempt)
        data: dict[str, Json] = {**act.event_data, "was": run.state}
        uow.events.append(run_event("run.cancelled", run, data))


_ATTEMPT = update_attempt(
    ended_at=bindparam("now"), outcome=RunState.CANCELLED.value, reason=bindparam("why")
)
