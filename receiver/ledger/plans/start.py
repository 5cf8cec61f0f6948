"""Starts plans: new ones, those that have collected long enough, and those that were approved."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text

from receiver.core.model import Event, Json, from_ms, rfc3339
from receiver.core.states import PlanState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.concurrency import enqueue_plan
from receiver.ledger.plans.plan import Gate, Plan, read_plans, select_plans
from receiver.ledger.plans.records import hold_reason
from receiver.ledger.plans.signals import signal
from receiver.ledger.plans.supersede import supersede_older
from receiver.ledger.plans.throttle import restart_window

COLLECTED = 32
"""Plans that one transaction starts because their time has come; the next one takes the rest."""

NAMED = 10
"""Resources that the event of a plan which waits for them, or for an approval, names."""

UNSEEN = "nobody has looked at its resources yet"

_COLLECTED = text(
    f"SELECT id FROM plans WHERE {tables.COLLECTING_PLAN} AND due_at <= :now "
    f"ORDER BY due_at LIMIT {COLLECTED}"
)


def start(uow: UnitOfWork, plan: Plan) -> tuple[PlanState, int | None]:
    """Supersede the older plans that a plan makes needless, and queue it under its concurrency key.

    Returns:
        Whether it is active or waits, and its position in the queue of the key.
    """
    supersede_older(uow, plan)
    state, position = enqueue_plan(uow, plan.concurrency_key, plan.concurrency_limit)
    if state is PlanState.WAITING:
        uow.events.append(waiting_event(plan))
    return state, position


def start_collected(uow: UnitOfWork) -> None:
    """Start the plans whose time of collecting is over."""
    p = tables.plans.c
    for due in uow.connection.scalars(_COLLECTED, {"now": uow.now}).all():
        uow.flush()
        still = select_plans().where(p.id == due, p.state == PlanState.COLLECTING.value)
        for plan in list(read_plans(uow.connection, still)):  # none if one before superseded it
            _end_in_time(uow, plan)


def _end_in_time(uow: UnitOfWork, plan: Plan) -> None:
    """Let a plan collect no more, or fail if Applications that it waits for have not come."""
    awaited = plan.awaited
    if awaited is None or awaited.met:
        if awaited:
            uow.events.append(plan.event("plan.complete", awaited.event_data))
        end_collecting(uow, plan)
        return
    data = awaited.event_data | {"reason": awaited.reason, "otherwise": awaited.otherwise}
    uow.events.append(plan.event("plan.incomplete", data))
    if awaited.otherwise == "fail":
        fail_unstarted(uow, plan, awaited.reason)
    else:
        end_collecting(uow, plan)


def end_collecting(uow: UnitOfWork, plan: Plan) -> None:
    """Let a plan collect no more: it starts, or with too many targets it is held."""
    restart_window(uow, plan.collect_key)
    reason = hold_reason(len(plan.targets), plan.hold_above)
    if reason:
        _change(uow, plan, PlanState.HELD, reason, held_at=uow.now)
        uow.events.append(held_event(plan, reason))
    else:
        go_on(uow, plan)


def go_on(uow: UnitOfWork, plan: Plan) -> None:
    """Let a plan that is held by nothing any more wait for its resources, or start."""
    if plan.gate is None:
        start_stored(uow, plan)
        return
    gated = at_gate(uow, plan, plan.gate)
    _change(uow, plan, gated.state, gated.reason, due_at=gated.due_at)


def at_gate(uow: UnitOfWork, plan: Plan, gate: Gate) -> Plan:
    """Return a plan as it waits for its resources to be healthy, and tell it."""
    until = uow.now + gate.longest
    data: dict[str, Json] = {"until": rfc3339(from_ms(until)), "otherwise": gate.otherwise}
    uow.events.append(plan.event("plan.gated", data | _named("waitsFor", plan)))
    return replace(plan, state=PlanState.GATED, reason=UNSEEN, due_at=until)


def fail_unstarted(uow: UnitOfWork, plan: Plan, why: str) -> None:
    """Let a stored plan fail before its first wave; only what is meant for that case is done.

    It supersedes nothing: it does not do the work of an older plan.
    """
    failed = replace(plan, failure=why, series=None)
    uow.change(tables.plans, plan.id, failure=why, series=None)
    start_stored(uow, failed)


def start_stored(uow: UnitOfWork, plan: Plan) -> None:
    """Start a plan that is stored: it is active then, or waits for a slot."""
    state, position = start(uow, plan)
    _change(uow, plan, state, "", position)
    if state is PlanState.ACTIVE:
        signal(uow, plan.id)


def held_event(plan: Plan, reason: str) -> Event:
    """Return the event of a plan that waits for an approval."""
    return plan.event("plan.held", {"reason": reason, **_named("holds", plan)})


def _named(key: str, plan: Plan) -> dict[str, Json]:
    """Return the first of a plan's resources under this key, and how many more there are."""
    named: list[Json] = [target["resource"] for target in plan.targets[:NAMED]]
    data: dict[str, Json] = {key: named} if named else {}
    if (more := len(plan.targets) - NAMED) > 0:
        data["more"] = more
    return data


def waiting_event(plan: Plan) -> Event:
    """Return the event of a plan that waits for a slot of its concurrency key."""
    data: dict[str, Json] = {"key": plan.concurrency_key, "limit": plan.concurrency_limit}
    return plan.event("plan.waiting", data)


def _change(
    uow: UnitOfWork, plan: Plan, state: PlanState, reason: str, position: int | None = None,
    due_at: int | None = None, held_at: int | None = None,
) -> None:  # fmt: skip
    uow.change(
        tables.plans, plan.id, state=state.value, reason=reason, queue_position=position,
        due_at=due_at, held_at=held_at,
    )  # fmt: skip
