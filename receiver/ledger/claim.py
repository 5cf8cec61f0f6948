"""Hands due work out: the claim, its lease, and what becomes of an attempt that was lost.

A claim costs the same with ten runs in the ledger or a million: runs that wait for a time lie
in an index by that time, and runs that are ready in one by lane and turn, of which only the
first few of each lane are read. A lane is the host that a run keeps busy; no lane gets more
than its part of the threads, so a slow host delays nobody else. Within a lane the lowest turn
goes first (see `turns.next_turn`), so a rule with thousands of runs delays no other. What is
paused does not lie in that index (see `pauses`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from receiver.ledger import tables
from receiver.ledger.events import append_events
from receiver.ledger.pauses import all_paused_since
from receiver.model import Event, RunState


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run whose attempt is ours; times in milliseconds, ``attempt`` from 1.

    ``pending`` says that the other side works on it and is only asked again.
    """

    id: str
    plan: str
    sync: str
    rule: str
    action: str
    handler: str
    target: str
    target_index: int | None
    lane: str
    attempt: int
    failures: int
    key_number: int
    parameters: Any
    secrets: Mapping[str, Mapping[str, str]]
    policy: Mapping[str, float]
    state: Any
    pending: bool
    first_attempt_at: int


_WAKE = text(f"UPDATE runs SET ready = TRUE WHERE {tables.SLEEPING_RUN} AND due_at <= :now")

_LANES = text(
    "WITH RECURSIVE lanes(lane) AS ("
    f" SELECT MIN(lane) FROM runs WHERE {tables.READY_RUN}"
    " UNION ALL"
    f" SELECT (SELECT MIN(lane) FROM runs WHERE {tables.READY_RUN} AND lane > lanes.lane)"
    " FROM lanes"
    " WHERE lanes.lane IS NOT NULL) SELECT lane FROM lanes WHERE lane IS NOT NULL"
)
"""Steps from lane to lane over the index, however many runs lie between."""

_FIRST = text(
    f"SELECT turn, id FROM runs WHERE {tables.READY_RUN} AND lane = :lane ORDER BY turn LIMIT :most"
)


def wake(connection: Connection, now: int) -> None:
    """Make the runs ready whose time has come."""
    connection.execute(_WAKE, {"now": now})


def claim(
    connection: Connection,
    now: int,
    *,
    owner: str,
    lease: int,
    free: int,
    busy: Mapping[str, int],
    lane_limit: int,
) -> tuple[list[Claimed], list[Event]]:
    """Take at most ``free`` ready runs for ``owner`` and begin their attempts; none in a pause.

    Args:
        connection: within a writing transaction.
        now: milliseconds, by the ledger's clock.
        owner: who runs the attempts.
        lease: milliseconds that the owner may be silent.
        free: how many threads are free.
        busy: threads that each lane has already.
        lane_limit: how many threads one lane may have.
    """
    if free <= 0 or all_paused_since(connection) is not None:
        return [], []
    found: list[tuple[int, str]] = []
    for lane in connection.scalars(_LANES).all():
        most = min(free, lane_limit - busy.get(lane, 0))
        if most > 0:
            rows = connection.execute(_FIRST, {"lane": lane, "most": most})
            found += [(row.turn, row.id) for row in rows]
    chosen = [run for _, run in sorted(found)[:free]]
    if not chosen:
        return [], []
    claimed = _take(connection, now, owner, lease, chosen)
    events = [_started(run) for run in claimed]
    append_events(connection, now, events)
    return claimed, events


def _take(
    connection: Connection, now: int, owner: str, lease: int, chosen: Sequence[str]
) -> list[Claimed]:
    r = tables.runs
    rows = connection.execute(select(r).where(r.c.id.in_(chosen))).all()
    connection.execute(
        update(r)
        .where(r.c.id == bindparam("run"))
        .values(
            state=RunState.RUNNING.value,
            ready=False,
            owner=owner,
            lease_until=now + lease,
            attempts=bindparam("attempt"),
            first_attempt_at=bindparam("first"),
        ),
        [
            {"run": row.id, "attempt": row.attempts + 1, "first": row.first_attempt_at or now}
            for row in rows
        ],
    )
    connection.execute(
        insert(tables.attempts),
        [
            {
                "run_id": row.id,
                "number": row.attempts + 1,
                "owner": owner,
                "started_at": now,
                "outcome": "",
                "reason": "",
            }
            for row in rows
        ],
    )
    order = {run: place for place, run in enumerate(chosen)}
    return [_claimed(row, now) for row in sorted(rows, key=lambda row: order[row.id])]


def _claimed(row: Any, now: int) -> Claimed:
    return Claimed(
        id=row.id,
        plan=row.plan_id,
        sync=row.sync_id,
        rule=row.rule,
        action=row.action,
        handler=row.handler,
        target=row.target,
        target_index=row.target_index,
        lane=row.lane,
        attempt=row.attempts + 1,
        failures=row.failures,
        key_number=row.key_number,
        parameters=json.loads(row.parameters),
        secrets=json.loads(row.secrets),
        policy=json.loads(row.policy),
        state=json.loads(row.handler_state) if row.handler_state else None,
        pending=row.state == RunState.PENDING.value,
        first_attempt_at=row.first_attempt_at or now,
    )


def _started(run: Claimed) -> Event:
    data = {"rule": run.rule, "action": run.action, "handler": run.handler, "target": run.target}
    return Event(
        "attempt.started", data, sync=run.sync, plan=run.plan, run=run.id, attempt=run.attempt
    )


def renew(connection: Connection, now: int, owner: str, lease: int, runs: Sequence[str]) -> None:
    """Renew the leases of the runs that the owner still works on."""
    r = tables.runs
    for start in range(0, len(runs), 500):
        connection.execute(
            update(r)
            .where(
                r.c.id.in_(runs[start : start + 500]),
                r.c.owner == owner,
                text("state = 'running'"),
            )
            .values(lease_until=now + lease)
        )


def release_lost(connection: Connection, now: int, *, alone: str = "") -> list[Event]:
    """Make attempts due again whose owner is gone; their idempotency key stays.

    Args:
        connection: within a writing transaction.
        now: milliseconds; a lease that ended before it is lost.
        alone: an owner that knows itself to be the only one (it holds the instance lock):
            then every other owner is gone, whatever its lease says.
    """
    r = tables.runs
    gone = r.c.owner != alone if alone else r.c.lease_until < now
    rows = connection.execute(
        select(r.c.id, r.c.plan_id, r.c.sync_id, r.c.attempts, r.c.owner).where(
            text("state = 'running'"), gone
        )
    ).all()
    if not rows:
        return []
    connection.execute(
        update(r)
        .where(r.c.id == bindparam("run"))
        .values(state=RunState.DUE.value, ready=True, owner=None, lease_until=None, due_at=now),
        [{"run": row.id} for row in rows],
    )
    connection.execute(
        update(tables.attempts)
        .where(
            tables.attempts.c.run_id == bindparam("run"),
            tables.attempts.c.number == bindparam("attempt"),
        )
        .values(ended_at=now, outcome="lost", reason="its process ended or fell silent"),
        [{"run": row.id, "attempt": row.attempts} for row in rows],
    )
    events = [
        Event(
            "attempt.lost",
            {"owner": row.owner},
            sync=row.sync_id,
            plan=row.plan_id,
            run=row.id,
            attempt=row.attempts,
        )
        for row in rows
    ]
    append_events(connection, now, events)
    return events


_NEXT = text(f"SELECT MIN(due_at) FROM runs WHERE {tables.SLEEPING_RUN}")
_READY = text(f"SELECT 1 FROM runs WHERE {tables.READY_RUN} LIMIT 1")
_NEW = text("SELECT 1 FROM syncs WHERE syncs.state = 'new' LIMIT 1")
_COLLECTED = text(f"SELECT MIN(due_at) FROM plans WHERE {tables.COLLECTING_PLAN}")
_STIRRED = text("SELECT 1 FROM plans WHERE stirred > 0 LIMIT 1")
_REPLAYS = text(f"SELECT 1 FROM replays WHERE {tables.ASKED_REPLAY} LIMIT 1")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What there is to do now, and when the next run becomes due (milliseconds).

    ``collected``: a plan has collected syncs for long enough; ``next_collected`` is its time.
    ``replays``: an operator wants a sync planned anew. While all is paused, nothing is ready
    and nothing becomes due.
    """

    now: int
    new: bool
    stirred: bool
    ready: bool
    next_due: int | None
    collected: bool = False
    next_collected: int | None = None
    replays: bool = False


def backlog(connection: Connection, now: int) -> Backlog:
    """Look, without a lock, whether a transaction is worth its while."""
    paused = all_paused_since(connection) is not None
    next_due = None if paused else connection.scalar(_NEXT)
    next_collected = connection.scalar(_COLLECTED)
    return Backlog(
        now=now,
        new=connection.scalar(_NEW) is not None,
        stirred=connection.scalar(_STIRRED) is not None,
        ready=not paused and (connection.scalar(_READY) is not None or _come(next_due, now)),
        next_due=next_due,
        collected=_come(next_collected, now),
        next_collected=next_collected,
        replays=connection.scalar(_REPLAYS) is not None,
    )


def _come(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now
