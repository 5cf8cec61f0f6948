"""Stores plans with their runs, and each later step of a plan, in a turn's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, insert, select, update

from receiver.core.states import PlanState, RunState, Trait
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.audit.trail import labels
from receiver.ledger.engine.unit_of_work import Row, UnitOfWork
from receiver.ledger.plans.application_memory import update_memories, write_recalled
from receiver.ledger.plans.concurrency import activate_next, end_plan
from receiver.ledger.plans.custom_rule_status import store_left_out
from receiver.ledger.plans.debounce import begin, join, room_for
from receiver.ledger.plans.field_values import store_fields
from receiver.ledger.plans.plan import Plan, insert_plan
from receiver.ledger.plans.records import Advance, NewPlan, Planning, RunChange, StoredPlan
from receiver.ledger.plans.run import Run, run_row
from receiver.ledger.plans.signals import consume, unconsumed
from receiver.ledger.plans.start import at_gate, held_event, start
from receiver.ledger.plans.supersede import newer_than, superseded_event, superseded_reason
from receiver.ledger.prepared import Prepared, any_of
from receiver.ledger.queue.fair_queueing import load_virtual_times, next_virtual_time
from receiver.ledger.queue.pauses import PAUSED_AT, select_paused_at

LONGEST_WARNING = 3_600_000
"""Milliseconds before its end at which a hold is told again, at most."""

_NEW_RUN = insert(tables.runs).values(
    paused_at=select_paused_at(bindparam("of_rule"), bindparam("of_handler"))
)

_S = tables.syncs.c
_STATES = Prepared(select(_S.id, _S.state).where(any_of(_S.id, "syncs")))


def store_plannings(uow: UnitOfWork, plannings: Sequence[Planning]) -> None:
    """Store the plans of syncs, except those that another dispatcher has planned meanwhile."""
    states = dict(_STATES.all(uow.connection, syncs=[planning.sync for planning in plannings]))
    ours = [one for one in plannings if states.get(one.sync) == one.was.value]
    load_virtual_times(uow, _due_flows(plan.first for one in ours for plan in one.plans))
    for planning in ours:
        uow.change(
            tables.syncs, planning.sync, state=planning.state.value, reason=planning.reason,
            rule_set=planning.rule_set, **planning.changes,
            planned_at=None if planning.verify_until else uow.now,
            recalled=write_recalled(planning.recalled), verify_until=planning.verify_until,
        )  # fmt: skip
        for verdict, resources in planning.changes.items():
            uow.counts["resources_total", labels(verdict=verdict)] += resources
        store_plans(uow, planning)
        if planning.fields:
            store_fields(uow, planning.fields)
    update_memories(uow, ours)


def store_plans(uow: UnitOfWork, planning: Planning) -> None:
    """Store the plans of a planning and its events, and start what may start at once."""
    store_left_out(uow, planning)
    plans = [(new, _unstarted(uow, planning, new)) for new in planning.plans]
    joined = {
        plan.id: room
        for new, plan in plans
        if new.collect and (room := room_for(uow, plan, new.collect))
    }
    uow.events += [
        replace(event, plan=joined[event.plan].plan.id) if event.plan in joined else event
        for event in planning.events
    ]
    for new, plan in plans:
        if new.collect and new.id in joined:
            join(uow, plan, new.collect, joined[new.id])
        else:
            _store_plan(uow, new, plan, newest=planning.asked)


def _store_plan(uow: UnitOfWork, new: NewPlan, plan: Plan, *, newest: bool) -> None:
    newer = None if newest else newer_than(uow, plan)
    if newer:
        _store_superseded(uow, plan, newer)
    elif new.collect:
        begin(uow, plan, new.collect)
    elif new.hold:
        held = replace(plan, state=PlanState.HELD, reason=new.hold, held_at=uow.now)
        insert_plan(uow, held)
        _write_runs(uow, replace(new.first, changes=()), new.runs)
        uow.events.append(held_event(plan, new.hold))
    elif plan.gate:
        insert_plan(uow, at_gate(uow, plan, plan.gate))
        _write_runs(uow, replace(new.first, changes=()), new.runs)
    else:
        _store_started(uow, new, plan)


def _store_superseded(uow: UnitOfWork, plan: Plan, newer: tuple[str, str]) -> None:
    """Store a plan whose sync came late, after a newer one that has started."""
    ended = replace(
        plan, state=PlanState.SUPERSEDED, ended_at=uow.now, newer_plan=newer[0],
        newer_sync=newer[1], reason=superseded_reason(newer),
    )  # fmt: skip
    insert_plan(uow, ended)
    uow.events.append(superseded_event(plan.rule, plan.sync, plan.id, newer))


def _store_started(uow: UnitOfWork, new: NewPlan, plan: Plan) -> None:
    state, position = start(uow, plan)
    plan = replace(plan, state=state, queue_position=position)
    if state is PlanState.WAITING:
        insert_plan(uow, plan)
        _write_runs(uow, replace(new.first, changes=()), new.runs)
        return
    first = new.first
    if first.end is not None:  # it is inserted as one that has ended
        plan = replace(plan, state=first.end, reason=first.reason, ended_at=uow.now)
    insert_plan(uow, plan)
    _write_runs(uow, first, (*new.runs, *first.runs))
    if first.end is not None:
        activate_next(uow, plan.concurrency_key)
    uow.events += first.events


def _unstarted(uow: UnitOfWork, planning: Planning, new: NewPlan) -> Plan:
    """Return a new plan as the ledger has it until it starts."""
    return Plan(
        id=new.id, sync=planning.sync, rule_set=new.rule_set, rule=new.rule,
        application=planning.application, mode=new.mode, state=PlanState.COLLECTING, reason="",
        targets=new.targets, concurrency_key=new.key, concurrency_limit=new.limit,
        queue_position=None, hold_above=new.hold_above, failure=None, awaited=None,
        gate=new.gate and replace(new.gate, asked=planning.asked), series=new.series,
        sync_finished_at=new.sync_finished_at, newer_plan=None, newer_sync=None, collect_key=None,
        due_at=None, signals=0, created_at=uow.now, ended_at=None,
    )  # fmt: skip


def store_advances(uow: UnitOfWork, steps: Sequence[tuple[StoredPlan, Advance]]) -> None:
    """Store the steps of plans; a slot that an end frees goes to the next plan of its key.

    If something has happened to a plan since it was read, nothing of it is stored: the step is
    out of date, and the plan still has a signal.
    """
    signals = unconsumed(uow, [stored.plan.id for stored, _ in steps])
    load_virtual_times(uow, _due_flows(advance for _, advance in steps))
    for stored, advance in steps:
        plan = stored.plan
        if signals.get(plan.id) != plan.signals:
            continue
        consume(uow, plan.id, plan.signals)
        _write_runs(uow, advance, advance.runs)
        _end_plan(uow, advance, plan.concurrency_key)
        uow.events += advance.events


def _due_flows(advances: Iterable[Advance]) -> Iterator[str]:
    """Yield the flows of which runs become due."""
    for advance in advances:
        if any(change.state is RunState.DUE for change in advance.changes):
            yield advance.flow


_CHANGED = (
    "state", "reason", "skip_cause", "rendered", "ready", "lane", "virtual_time", "due_at",
    "held_at", "expires_at", "expiry_due_at", "ended_at", "parameters", "secrets",
)  # fmt: skip

_CHANGE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
    .values(paused_at=PAUSED_AT)
)


def _write_runs(uow: UnitOfWork, advance: Advance, runs: Sequence[Run]) -> None:
    """Insert the new runs as they come out of the step, and change those that were there."""
    changes = {change.run: _change_row(uow, advance, change) for change in advance.changes}
    for run in runs:
        uow.add(_NEW_RUN, _new_row(run) | changes.pop(run.id, {}))
    for run_id, row in changes.items():
        named = {f"new_{name}": value for name, value in row.items()}
        uow.add(_CHANGE, {"run": run_id} | named)


def _change_row(uow: UnitOfWork, advance: Advance, change: RunChange) -> Row:
    due = change.state is RunState.DUE
    values = (
        change.state.value, change.reason, change.skip_cause and change.skip_cause.value,
        change.state.has(Trait.RELEASED), due, change.lane,
        next_virtual_time(uow, advance.flow) if due else 0,
        uow.now if due else None, uow.now if change.state is RunState.HELD else None,
        *expiry(uow.now, change.expires), uow.now if change.state.ended else None,
        dumps(change.parameters), dumps(change.secrets),
    )  # fmt: skip
    return dict(zip(_CHANGED, values, strict=True))


def expiry(now: int, expires: float | None) -> tuple[int, int] | tuple[None, None]:
    """Return when a run that is held from now on is cancelled, and when that is told before.

    A quarter of its time is left then, an hour at most.
    """
    if expires is None:
        return None, None
    length = int(expires * 1000)
    return now + length, now + length - min(length // 4, LONGEST_WARNING)


def _new_row(run: Run) -> Row:
    unchanged = (
        RunState.WAITING.value, "", None, False, False, "", 0, None, None, None, None, None, None,
        None,
    )  # fmt: skip
    return {
        **run_row(run), "claims": 0, "failures": 0, "of_rule": run.rule, "of_handler": run.handler,
        **dict(zip(_CHANGED, unchanged, strict=True)),
    }  # fmt: skip


def _end_plan(uow: UnitOfWork, advance: Advance, key: str | None) -> None:
    if advance.end is not None:
        end_plan(uow, advance.plan, advance.end, advance.reason, key)
