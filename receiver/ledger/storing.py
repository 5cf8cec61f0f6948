"""Stores plans with their runs, and each later step of a plan, in a turn's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select, text, update

from receiver.ledger import tables
from receiver.ledger.batch import Batch, Row
from receiver.ledger.planning import (
    Advance,
    NewPlan,
    NewRun,
    Planning,
    RunChange,
    StoredPlan,
)
from receiver.model import Event, Json, PlanState, RunState, SyncState

_PLANNED = (
    update(tables.syncs)
    .where(tables.syncs.c.id == bindparam("sync"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state", "reason", "rule_set", "changed", "planned_at", "image_verdicts",
            )
        }
    )
)  # fmt: skip
_NEW_PLAN = insert(tables.plans)
_NEW_RUN = insert(tables.runs)


def store_plannings(batch: Batch, plannings: Sequence[Planning]) -> None:
    """Store the plans of syncs, but for those that somebody else has planned meanwhile."""
    s = tables.syncs
    wanted = [planning.sync for planning in plannings]
    still_new = set(
        batch.connection.scalars(
            select(s.c.id).where(s.c.id.in_(wanted), s.c.state == SyncState.NEW.value)
        )
    )
    for planning in plannings:
        if planning.sync in still_new:
            _store_planning(batch, planning)


def _store_planning(batch: Batch, planning: Planning) -> None:
    batch.add(
        _PLANNED,
        {
            "sync": planning.sync,
            "new_state": planning.state.value,
            "new_reason": planning.reason,
            "new_rule_set": planning.rule_set,
            "new_changed": planning.changed,
            "new_planned_at": batch.now,
            "new_image_verdicts": json.dumps(planning.verdicts),
        },
    )
    if planning.images:
        images = json.dumps(planning.images)
        row = {"application": planning.images_of, "finished_at": planning.finished_at}
        batch.add(_REMEMBER, row | {"images": images})
    batch.events += planning.events
    for plan in planning.plans:
        _store_plan(batch, planning, plan)


def _store_plan(batch: Batch, planning: Planning, plan: NewPlan) -> None:
    waits = plan.key is not None and _take_place(batch, plan.key) > (plan.limit or 1)
    batch.add(
        _NEW_PLAN,
        {
            "id": plan.id,
            "sync_id": planning.sync,
            "rule_set": planning.rule_set,
            "rule": plan.rule,
            "application": planning.application,
            "mode": plan.mode,
            "state": (PlanState.WAITING if waits else PlanState.ACTIVE).value,
            "reason": "",
            "targets": json.dumps(plan.targets),
            "concurrency_key": plan.key,
            "concurrency_limit": plan.limit,
            "stirred": 0,
            "created_at": batch.now,
        },
    )
    if waits:
        held = Advance(plan.id, planning.sync, plan.first.share)
        _write_runs(batch, held, plan.rule, plan.runs)
        data: dict[str, Json] = {"rule": plan.rule, "key": plan.key, "limit": plan.limit}
        batch.events.append(Event("plan.waiting", data, sync=planning.sync, plan=plan.id))
        return
    _write_runs(batch, plan.first, plan.rule, (*plan.runs, *plan.first.runs))
    _end_plan(batch, plan.first, plan.key)
    batch.events += plan.first.events


_LOOKED = update(tables.plans).where(tables.plans.c.id == bindparam("plan")).values(stirred=0)


def store_advances(batch: Batch, steps: Sequence[tuple[StoredPlan, Advance]]) -> None:
    """Store the steps of plans; a place that an end frees goes to the next plan of its key.

    If something has happened to a plan since it was read, nothing of it is stored: the step is
    out of date, and the plan is still stirred.
    """
    p = tables.plans
    rows = batch.connection.execute(
        select(p.c.id, p.c.stirred).where(p.c.id.in_([plan.id for plan, _ in steps]))
    )
    stirred = {row.id: row.stirred for row in rows}
    for plan, advance in steps:
        if stirred.get(plan.id) != plan.stirred:
            continue
        batch.add(_LOOKED, {"plan": plan.id})
        _write_runs(batch, advance, plan.rule, advance.runs)
        _end_plan(batch, advance, plan.key)
        batch.events += advance.events


_CHANGED = (
    "state", "reason", "ready", "lane", "turn", "due_at", "ended_at", "parameters", "secrets",
)  # fmt: skip

_CHANGE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)


def _write_runs(batch: Batch, advance: Advance, rule: str, runs: Sequence[NewRun]) -> None:
    """Insert the new runs as they come out of the step, and change those that were there."""
    changes = {change.run: _change_row(batch, advance, change) for change in advance.changes}
    for run in runs:
        batch.add(_NEW_RUN, _run_row(advance, rule, run) | changes.pop(run.id, {}))
    for run_id, row in changes.items():
        named = {f"new_{name}": value for name, value in row.items()}
        batch.add(_CHANGE, {"run": run_id} | named)


def _change_row(batch: Batch, advance: Advance, change: RunChange) -> Row:
    due = change.state is RunState.DUE
    values = (
        change.state.value, change.reason, due, change.lane,
        _next_turn(batch, advance.share) if due else 0,
        batch.now if due else None, batch.now if change.state.ended else None,
        json.dumps(change.parameters), json.dumps(change.secrets),
    )  # fmt: skip
    return dict(zip(_CHANGED, values, strict=True))


def _run_row(advance: Advance, rule: str, run: NewRun) -> Row:
    unchanged = ("waiting", "", False, "", 0, None, None, None, None)
    return {
        "id": run.id,
        "plan_id": advance.plan,
        "sync_id": advance.sync,
        "rule": rule,
        "section": run.section,
        "step": run.step,
        "action": run.action,
        "handler": run.handler,
        "wave": run.wave,
        "target": run.target,
        "target_index": run.target_index,
        "share": advance.share,
        "attempts": 0,
        "failures": 0,
        "key_number": 1,
        "policy": json.dumps(run.policy),
        **dict(zip(_CHANGED, unchanged, strict=True)),
    }


_END = (
    update(tables.plans)
    .where(tables.plans.c.id == bindparam("plan"))
    .values(state=bindparam("how"), reason=bindparam("why"), ended_at=bindparam("now"))
)


def _end_plan(batch: Batch, advance: Advance, key: str | None) -> None:
    if advance.end is None:
        return
    how, why = advance.end.value, advance.reason
    batch.add(_END, {"plan": advance.plan, "how": how, "why": why, "now": batch.now})
    if key is not None:
        batch.flush()
        _admit(batch.connection, key)


_OWN_TURN = text(f"SELECT MAX(turn) FROM runs WHERE share = :share AND {tables.OPEN_RUN}")
_FIRST_TURN = text("SELECT MIN(turn) FROM runs WHERE ready")


def _next_turn(batch: Batch, share: str) -> int:
    """Say where a share's next run queues: behind its own open runs, level with the others' first.

    This is start-time fair queuing: whoever has much to do waits behind itself, not before others.
    """

    def last() -> int:
        own = batch.connection.scalar(_OWN_TURN, {"share": share})
        first = batch.connection.scalar(_FIRST_TURN)
        return max(own or 0, (first or 1) - 1)

    return batch.number("turn", share, last)


_TAKEN = text(f"SELECT COUNT(*) FROM plans WHERE concurrency_key = :key AND {tables.OPEN_PLAN}")


def _take_place(batch: Batch, key: str) -> int:
    """Count a new plan among the open ones of its key."""

    def taken() -> int:
        return int(batch.connection.scalar(_TAKEN, {"key": key}) or 0)

    return batch.number("place", key, taken)


def _admit(connection: Connection, key: str) -> None:
    """Make the plans that waited longest active, as many as the key has places for."""
    p = tables.plans
    rows = connection.execute(
        select(p.c.id, p.c.state, p.c.concurrency_limit)
        .where(p.c.concurrency_key == key, text(tables.OPEN_PLAN))
        .order_by(p.c.id)
        .limit(1000)
    ).all()
    active = sum(row.state == PlanState.ACTIVE.value for row in rows)
    for row in rows:
        if row.state == PlanState.WAITING.value and active < row.concurrency_limit:
            connection.execute(
                update(p)
                .where(p.c.id == row.id)
                .values(state=PlanState.ACTIVE.value, stirred=p.c.stirred + 1)
            )
            active += 1


_REMEMBER = text(
    "INSERT INTO images (application, images, finished_at) "
    "VALUES (:application, :images, :finished_at) "
    "ON CONFLICT (application) DO UPDATE "
    "SET images = json_patch(images.images, excluded.images), finished_at = excluded.finished_at "
    "WHERE excluded.finished_at >= images.finished_at"
)
"""A sync that lists some of its resources leaves what is known of the others."""
