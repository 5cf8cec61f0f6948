"""Claims due runs.

A claim costs the same with ten runs in the ledger or a million: runs that wait for a time lie
in an index by that time, and runs that are ready in one by lane and virtual time, of which only the
first few of each lane are read. A lane is the host that a run keeps busy; no lane gets more
than its part of the threads, nor more than it leaves free, so slow hosts delay no other.
Within a lane the lowest virtual time goes first (see `fair_queueing`), so a rule with thousands of
runs delays no other. What is paused does not lie in that index (see `pauses`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from receiver.core.model import Event, Json
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import Prepared, any_of
from receiver.ledger.queue.attempts import update_attempt
from receiver.ledger.queue.pauses import all_paused_since
from receiver.ledger.queue.rate_limits import Buckets, blocked_lanes


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that is claimed for an attempt: what a worker needs of it, its parameters among that.

    Times are in milliseconds; ``attempt`` and ``claim`` count from 1.

    ``pending`` says that the other side works on it and is only asked again: that is a claim, and
    still the same attempt. ``reason`` is why it waited until now. ``fresh`` says that nothing has
    been tried before: ``first_attempt_at`` is the time of this claim.
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
    claim: int
    failures: int
    key_number: int
    parameters: Any
    secrets: Mapping[str, Mapping[str, str]]
    policy: Mapping[str, float]
    state: Any
    pending: bool
    reason: str
    first_attempt_at: int
    fresh: bool = False


_WAKE = Prepared(
    text(f"UPDATE runs SET ready = TRUE WHERE {tables.SLEEPING_RUN} AND due_at <= :now")
)

_LANES = Prepared(
    text(
        "WITH RECURSIVE lanes(lane) AS ("
        f" SELECT MIN(lane) FROM runs WHERE {tables.READY_RUN}"
        " UNION ALL"
        f" SELECT (SELECT MIN(lane) FROM runs WHERE {tables.READY_RUN} AND lane > lanes.lane)"
        " FROM lanes"
        " WHERE lanes.lane IS NOT NULL) SELECT lane FROM lanes WHERE lane IS NOT NULL"
    )
)
"""Steps from lane to lane over the index, however many runs lie between."""

_FIRST = Prepared(
    select(tables.runs.c.virtual_time, tables.runs.c.id, tables.runs.c.handler)
    .where(text(tables.READY_RUN), tables.runs.c.lane == bindparam("wanted"))
    .order_by(tables.runs.c.virtual_time)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
"""What another process is about to take is left to it."""


def wake(connection: Connection, now: int) -> None:
    """Make the runs ready whose time has come."""
    _WAKE.run(connection, [{"now": now}])


def hurry(uow: UnitOfWork, runs: Collection[str]) -> None:
    """Let these runs be asked at once, as far as they are pending and not being asked."""
    uow.flush()  # one of them may have just become pending
    r = tables.runs
    asleep = select(r.c.id).where(
        any_of(r.c.id, "runs"),
        r.c.state == RunState.PENDING.value,
        ~r.c.ready,
        r.c.due_at > uow.now,
    )
    # What another process is about to take is asked already.
    asleep = asleep.order_by(r.c.id).with_for_update(skip_locked=True)
    mine = uow.connection.scalars(asleep, {"runs": [*runs]}).all()
    if mine:
        awake = update(r).where(any_of(r.c.id, "runs")).values(due_at=uow.now)
        uow.connection.execute(awake, {"runs": [*mine]})


_READY = Prepared(
    text(
        "SELECT COUNT(*) FROM"
        f" (SELECT 1 FROM runs WHERE {tables.READY_RUN} AND lane = :wanted LIMIT :most) AS r"
    )
)


def ready_runs(connection: Connection, most: int, without: Collection[str] = ()) -> int:
    """Return how many runs are ready, counted up to ``most``, without those of some lanes."""
    count = 0
    for lane in _LANES.scalars(connection):
        if lane not in without:
            count += int(_READY.scalars(connection, wanted=lane, most=most - count)[0])
        if count >= most:
            break
    return count


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim has taken; ``again_at`` (milliseconds) is when a lane held back may go on."""

    runs: Sequence[ClaimedRun] = ()
    again_at: int | None = None


def claim(
    uow: UnitOfWork,
    *,
    owner: str,
    lease: int,
    free: int,
    busy: Mapping[str, int],
    lane_limit: int,
    pace: Buckets,
    ahead: Mapping[str, int] = MappingProxyType({}),
) -> Taken:
    """Take at most ``free`` ready runs for ``owner`` and begin their attempts; none in a pause.

    Args:
        uow: of a writing transaction; it gets the trail's lines.
        owner: who runs the attempts.
        lease: milliseconds that the owner may be silent.
        free: how many threads are free.
        busy: threads that each lane has already.
        lane_limit: how many threads one lane may have.
        pace: how many attempts each lane's service takes.
        ahead: how many more of these lanes are taken, which wait for a thread of their lane.
    """
    connection, now = uow.connection, uow.now
    if free <= 0 or all_paused_since(connection) is not None:
        return Taken()
    room = _Room(free, Counter(busy), lane_limit, Counter(ahead))
    found, held_back = _ready(uow, room, pace)
    chosen = _choose(found, held_back, room, pace, now)
    again_at = min(held_back, default=None)
    if not chosen:
        return Taken(again_at=again_at)
    for lane, handler in {(lane, handler) for _, _, lane, handler in chosen}:
        pace.save(connection, lane, handler)
    claimed = _take(uow, owner, lease, [run for _, run, _, _ in chosen])
    uow.events += [attempt_event("attempt.started", run) for run in claimed if not run.pending]
    return Taken(claimed, again_at)


_Candidate = tuple[int, str, str, str]
"""A run that may be taken: its virtual time, id, lane and handler."""


@dataclass(slots=True)
class _Room:
    """How many more runs may be taken; see `claim`.

    No lane gets more threads than it leaves free. However many hosts hang, of 64 threads each holds
    64 / (hosts + 1) then, and as many are left for those that do not.
    """

    free: int
    busy: Counter[str]
    lane_limit: int
    ahead: Counter[str]

    def most(self, lane: str) -> int:
        """Return how many of a lane may be taken, if all others are left out."""
        return max(0, min(self.free, self.lane_limit - self.busy[lane])) + self.ahead[lane]

    def takes(self, lane: str) -> bool:
        """Give a run of this lane a place, if there is one left."""
        if self.busy[lane] < min(self.lane_limit, self.free):
            self.busy[lane] += 1
            self.free -= 1
            return True
        self.ahead[lane] -= 1
        return self.ahead[lane] >= 0


def _ready(uow: UnitOfWork, room: _Room, pace: Buckets) -> tuple[list[_Candidate], list[int]]:
    """Return the first runs of each lane, and when the lanes that are held back may go on."""
    connection, now = uow.connection, uow.now
    found: list[_Candidate] = []
    held_back: list[int] = []
    blocked = blocked_lanes(connection, now)
    for lane in _LANES.scalars(connection):
        if lane in blocked:
            held_back.append(blocked[lane])
            continue
        most = room.most(lane)
        if most <= 0:
            continue
        rows = _FIRST.all(connection, wanted=lane, most=most)
        if not rows:
            continue
        handler = rows[0].handler
        pace.load(connection, lane, handler, now)
        pace.load_tenant(connection, lane, now)
        paced = pace.room(lane, handler, len(rows), now)
        if paced < len(rows):
            held_back.append(pace.again_at(lane, handler, now))
        found += [(row.virtual_time, row.id, lane, row.handler) for row in rows[:paced]]
    return found, held_back


def _choose(
    found: list[_Candidate], held_back: list[int], room: _Room, pace: Buckets, now: int
) -> list[_Candidate]:
    """Take those with the lowest virtual time, as many as lanes and tenants may begin."""
    chosen = []
    for item in sorted(found):
        _, _, lane, handler = item
        if waits := pace.tenant_waits(lane, now):
            held_back.append(waits)
        elif room.takes(lane):
            chosen.append(item)
            pace.spend(lane, handler, now)
    return chosen


_CHOSEN = Prepared(select(tables.runs).where(any_of(tables.runs.c.id, "runs")))
_ATTEMPT = insert(tables.attempts)
_ASKED_AGAIN = update_attempt(owner=bindparam("by"), outcome="", reason="")


def _take(uow: UnitOfWork, owner: str, lease: int, chosen: Sequence[str]) -> list[ClaimedRun]:
    r = tables.runs
    rows = {row.id: row for row in _CHOSEN.all(uow.connection, runs=chosen)}
    claimed = [_claimed(rows[run], uow.now) for run in chosen if run in rows]
    for run in claimed:
        uow.change(
            r, run.id, state=RunState.RUNNING.value, ready=False, owner=owner,
            lease_until=uow.now + lease, attempts=run.attempt, claims=run.claim,
            first_attempt_at=run.first_attempt_at,
        )  # fmt: skip
        if run.pending:
            uow.add(_ASKED_AGAIN, {"run": run.id, "attempt": run.attempt, "by": owner})
        else:
            uow.add(_ATTEMPT, {
                "run_id": run.id, "number": run.attempt, "owner": owner, "started_at": uow.now,
                "pending": 0, "outcome": "", "reason": "",
            })  # fmt: skip
    uow.flush()
    return claimed


def _claimed(row: Any, now: int) -> ClaimedRun:
    pending = row.state == RunState.PENDING.value
    return ClaimedRun(
        id=row.id,
        plan=row.plan_id,
        sync=row.sync_id,
        rule=row.rule,
        action=row.action,
        handler=row.handler,
        target=row.target,
        target_index=row.target_index,
        lane=row.lane,
        attempt=row.attempts if pending else row.attempts + 1,
        claim=row.claims + 1,
        failures=row.failures,
        key_number=row.key_number,
        parameters=json.loads(row.parameters),
        secrets=json.loads(row.secrets),
        policy=json.loads(row.policy),
        state=json.loads(row.handler_state) if row.handler_state else None,
        pending=pending,
        reason=row.reason,
        first_attempt_at=row.first_attempt_at or now,
        fresh=row.first_attempt_at is None,
    )


def attempt_event(name: str, run: ClaimedRun, data: Mapping[str, Json] | None = None) -> Event:
    """Return an event about the attempt that a run is claimed for."""
    about = {"rule": run.rule, "action": run.action, "handler": run.handler, "target": run.target}
    return Event(
        name, {**about, **(data or {})}, sync=run.sync, plan=run.plan, run=run.id,
        attempt=run.attempt,
    )  # fmt: skip
