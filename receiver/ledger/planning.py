"""Reads what is to be planned, and stores plans with their runs in one transaction."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from receiver.ledger import tables
from receiver.ledger.events import append_events
from receiver.model import Event, Json, PlanState, RunState, SyncState


@dataclass(frozen=True, slots=True)
class StoredSync:
    """A sync as it was stored; times in milliseconds. ``query`` is that of the request's path."""

    id: str
    delivery: str
    sender: str
    channel: str
    received_at: int
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NewRun:
    """One action for one target, before its wave is released.

    ``target_index`` is the resource's place in the sync, None for batch and application.
    ``policy`` holds the retry, timeout and deadline of the action, in seconds.
    """

    id: str
    section: str
    step: int
    action: str
    handler: str
    wave: int
    target: str
    target_index: int | None
    policy: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunChange:
    """What releasing a wave makes of a waiting run."""

    run: str
    state: RunState
    reason: str = ""
    parameters: Json = None
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Advance:
    """One step of a plan: runs that it gets, runs that change, and its end, if this is it."""

    plan: str
    sync: str
    share: str
    runs: tuple[NewRun, ...] = ()
    changes: tuple[RunChange, ...] = ()
    end: PlanState | None = None
    reason: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class NewPlan:
    """One rule applied to one sync. ``targets`` are ``{index, reason, imageChanged}``."""

    id: str
    rule: str
    mode: str
    targets: Json
    key: str | None
    limit: int | None
    runs: tuple[NewRun, ...]
    first: Advance


@dataclass(frozen=True, slots=True)
class Planning:
    """All that planning one sync writes."""

    sync: str
    application: str
    state: SyncState
    reason: str
    rule_set: str | None
    changed: int = 0
    plans: tuple[NewPlan, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    images_of: str = ""
    finished_at: int = 0
    explanation: bytes | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan under way, with its runs."""

    id: str
    sync: str
    rule_set: str
    rule: str
    application: str
    targets: Any
    key: str | None
    stirred: int
    runs: tuple[Mapping[Any, Any], ...]


def new_syncs(connection: Connection, limit: int) -> list[StoredSync]:
    """The oldest syncs that nobody has planned."""
    s, d = tables.syncs, tables.deliveries
    query = (
        select(
            s.c.id, s.c.delivery_id, s.c.sender, s.c.channel, s.c.received_at, d.c.query, d.c.body
        )
        .join(d, d.c.id == s.c.delivery_id)
        .where(text("syncs.state = 'new'"))
        .order_by(s.c.id)
        .limit(limit)
    )
    return [_stored(row) for row in connection.execute(query)]


def stored_sync(connection: Connection, sync: str) -> StoredSync:
    """Read one sync back."""
    s, d = tables.syncs, tables.deliveries
    query = (
        select(
            s.c.id, s.c.delivery_id, s.c.sender, s.c.channel, s.c.received_at, d.c.query, d.c.body
        )
        .join(d, d.c.id == s.c.delivery_id)
        .where(s.c.id == sync)
    )
    return _stored(connection.execute(query).one())


def _stored(row: Any) -> StoredSync:
    return StoredSync(
        row.id,
        row.delivery_id,
        row.sender,
        row.channel,
        row.received_at,
        json.loads(row.query),
        zlib.decompress(row.body),
    )


def known_images(connection: Connection, application: str) -> dict[str, str]:
    """The images (JSON) of each of the application's resources at its newest planned sync."""
    query = select(tables.images.c.resource, tables.images.c.images).where(
        tables.images.c.application == application
    )
    return {row.resource: row.images for row in connection.execute(query)}


def stirred_plans(connection: Connection, limit: int) -> list[StoredPlan]:
    """Plans of which a run has ended since somebody last looked."""
    query = select(tables.plans).where(text("stirred > 0")).order_by(tables.plans.c.id).limit(limit)
    rows = connection.execute(query).all()
    r = tables.runs
    wanted = [r.c[name] for name in _RUN_COLUMNS]
    runs: dict[str, list[Mapping[Any, Any]]] = {row.id: [] for row in rows}
    found = connection.execute(
        select(r.c.plan_id, *wanted).where(r.c.plan_id.in_(list(runs))).order_by(r.c.id)
    )
    for run in found.mappings():
        runs[run["plan_id"]].append(run)
    return [
        StoredPlan(
            row.id, row.sync_id, row.rule_set, row.rule, row.application, json.loads(row.targets),
            row.concurrency_key, row.stirred, tuple(runs[row.id]),
        )
        for row in rows
    ]  # fmt: skip


_RUN_COLUMNS = (
    "id", "section", "step", "action", "wave", "target", "target_index", "state", "reason",
    "output", "attempts",
)  # fmt: skip


def store_planning(connection: Connection, now: int, planning: Planning) -> list[Event]:
    """Store a sync's plans, unless somebody else has; return the events as stored."""
    s = tables.syncs
    won = connection.execute(
        update(s)
        .where(s.c.id == planning.sync, s.c.state == SyncState.NEW.value)
        .values(
            state=planning.state.value,
            reason=planning.reason,
            rule_set=planning.rule_set,
            changed=planning.changed,
            planned_at=now,
            explanation=planning.explanation,
        )
    )
    if won.rowcount != 1:
        return []
    _remember_images(connection, planning)
    events = list(planning.events)
    for plan in planning.plans:
        events += _store_plan(connection, now, planning, plan)
    append_events(connection, now, events)
    return events


def _store_plan(connection: Connection, now: int, planning: Planning, plan: NewPlan) -> list[Event]:
    waits = plan.key is not None and _taken(connection, plan.key) >= (plan.limit or 1)
    connection.execute(
        insert(tables.plans).values(
            id=plan.id,
            sync_id=planning.sync,
            rule_set=planning.rule_set,
            rule=plan.rule,
            application=planning.application,
            mode=plan.mode,
            state=(PlanState.WAITING if waits else PlanState.ACTIVE).value,
            reason="",
            targets=json.dumps(plan.targets),
            concurrency_key=plan.key,
            concurrency_limit=plan.limit,
            stirred=0,
            created_at=now,
        )
    )
    if waits:
        held = Advance(plan.id, planning.sync, plan.first.share)
        _write_runs(connection, now, held, plan.rule, plan.runs)
        data: dict[str, Json] = {"rule": plan.rule, "key": plan.key, "limit": plan.limit}
        return [Event("plan.waiting", data, sync=planning.sync, plan=plan.id)]
    _write_runs(connection, now, plan.first, plan.rule, (*plan.runs, *plan.first.runs))
    _end_plan(connection, now, plan.first)
    return list(plan.first.events)


def store_advance(
    connection: Connection, now: int, plan: StoredPlan, advance: Advance
) -> list[Event]:
    """Store a plan's step; a place that its end frees goes to the next plan of its key.

    If something has happened to the plan since it was read, nothing is stored: the step is out
    of date, and the plan is still stirred.
    """
    p = tables.plans
    current = connection.execute(
        update(p).where(p.c.id == plan.id, p.c.stirred == plan.stirred).values(stirred=0)
    )
    if current.rowcount != 1:
        return []
    _write_runs(connection, now, advance, plan.rule, advance.runs)
    _end_plan(connection, now, advance)
    if advance.end and plan.key is not None:
        _admit(connection, plan.key)
    append_events(connection, now, advance.events)
    return list(advance.events)


_CHANGED = (
    "state", "reason", "ready", "lane", "turn", "due_at", "ended_at", "parameters", "secrets",
)  # fmt: skip

_CHANGE = (
    update(tables.runs)
    .where(tables.runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)


def _write_runs(
    connection: Connection, now: int, advance: Advance, rule: str, runs: Sequence[NewRun]
) -> None:
    """Insert the new runs as they come out of the step, and change those that were there."""
    changes = _change_rows(connection, now, advance)
    rows = [_run_row(advance, rule, run) | changes.pop(run.id, {}) for run in runs]
    if rows:
        connection.execute(insert(tables.runs), rows)
    if changes:
        named = [
            {"run": run, **{f"new_{name}": value for name, value in row.items()}}
            for run, row in changes.items()
        ]
        connection.execute(_CHANGE, named)


def _change_rows(connection: Connection, now: int, advance: Advance) -> dict[str, dict[str, Any]]:
    if not advance.changes:
        return {}
    turn = _last_turn(connection, advance.share)
    rows = {}
    for change in advance.changes:
        due = change.state is RunState.DUE
        turn += due
        values = (
            change.state.value, change.reason, due, change.lane, turn if due else 0,
            now if due else None, now if change.state.ended else None,
            json.dumps(change.parameters), json.dumps(change.secrets),
        )  # fmt: skip
        rows[change.run] = dict(zip(_CHANGED, values, strict=True))
    return rows


def _run_row(advance: Advance, rule: str, run: NewRun) -> dict[str, Any]:
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


def _end_plan(connection: Connection, now: int, advance: Advance) -> None:
    if advance.end:
        connection.execute(
            update(tables.plans)
            .where(tables.plans.c.id == advance.plan)
            .values(state=advance.end.value, reason=advance.reason, ended_at=now)
        )


def _last_turn(connection: Connection, share: str) -> int:
    """Where a share's next run queues: behind its own open runs, level with the others' first.

    This is start-time fair queuing: whoever has much to do waits behind itself, not before others.
    """
    r = tables.runs
    own = connection.scalar(
        select(func.max(r.c.turn)).where(r.c.share == share, text(tables.OPEN_RUN))
    )
    first = connection.scalar(text("SELECT MIN(turn) FROM runs WHERE ready"))
    return max(own or 0, (first or 1) - 1)


def _taken(connection: Connection, key: str) -> int:
    p = tables.plans
    query = select(func.count()).where(p.c.concurrency_key == key, text(tables.OPEN_PLAN))
    return int(connection.scalar(query) or 0)


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
    "INSERT INTO images (application, resource, images, finished_at) "
    "VALUES (:application, :resource, :images, :finished_at) "
    "ON CONFLICT (application, resource) DO UPDATE "
    "SET images = excluded.images, finished_at = excluded.finished_at "
    "WHERE excluded.finished_at >= images.finished_at"
)


def _remember_images(connection: Connection, planning: Planning) -> None:
    if planning.images:
        connection.execute(
            _REMEMBER,
            [
                {
                    "application": planning.images_of,
                    "resource": resource,
                    "images": images,
                    "finished_at": planning.finished_at,
                }
                for resource, images in planning.images.items()
            ],
        )
