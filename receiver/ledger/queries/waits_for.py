"""Why runs wait and why syncs are not planned yet, in words for people."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Annotated, Any

from sqlalchemy import Connection, bindparam, func, select, text
from typing_extensions import TypedDict

from receiver.core.states import (
    OPEN_PLANS,
    OPEN_RUNS,
    UNPLANNED_SYNCS,
    PlanState,
    RunState,
    SyncState,
)
from receiver.core.validation import first_line
from receiver.ledger import tables
from receiver.ledger.audit.key_values import PACE, get_value
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.queries.row_mapping import AT_ONCE, moment
from receiver.ledger.queries.rows import Id, PlanOfSync, Sync, written_as_text
from receiver.ledger.queries.status import DEAD_AFTER, rules_in_force
from receiver.ledger.queue.heartbeats import read_heartbeats
from receiver.ledger.queue.pauses import Pause, Scope, pauses_in_force
from receiver.ledger.queue.rate_limits import blocked_lanes

MOST = 1000
"""Runs that are counted before one in its lane."""
FEW = 3
"""Plans that are named which have the places of a key."""

_R, _P = tables.runs.c, tables.plans.c
_OF_PLAN = (
    _P.state.label("plan_state"), _P.reason.label("plan_reason"), _P.due_at.label("until"),
    _P.held_at.label("plan_held_at"), _P.concurrency_key, _P.concurrency_limit, _P.queue_position,
    _P.awaited.is_not(None).label("awaits"),
)  # fmt: skip
_PLANS = select(_P.id.label("plan_id"), *_OF_PLAN).where(
    _P.id.in_(bindparam("plans", expanding=True))
)
_OPEN = (
    select(
        *(_R[name] for name in (
            "id", "state", "rule", "handler", "section", "wave", "lane", "ready", "virtual_time",
            "due_at", "failures", "paused_at", "held_at", "expires_at", "plan_id",
        )),
        *_OF_PLAN,
    )
    .join(tables.plans, _P.id == _R.plan_id)
    .where(_R.id.in_(bindparam("runs", expanding=True)))
)  # fmt: skip
_READY = text(
    f"SELECT virtual_time FROM runs WHERE {tables.READY_RUN} AND lane = :lane "
    f"ORDER BY virtual_time LIMIT {MOST}"
)
_RUNNING = text(f"SELECT lane, COUNT(*) AS n FROM runs WHERE {tables.RUNNING_RUN} GROUP BY lane")
_BEFORE = text(
    f"SELECT COUNT(*) FROM plans WHERE concurrency_key = :key AND {tables.STARTED_PLAN} "
    "AND queue_position < :position"
)
_HAVING = (
    select(_P.id)
    .where(_P.concurrency_key == bindparam("key"), text(tables.STARTED_PLAN))
    .order_by(_P.queue_position)
)
WAITING = frozenset(OPEN_RUNS) - {RunState.RUNNING}
WAITING_PLANS = frozenset(OPEN_PLANS) - {PlanState.ACTIVE}


class Waiting(TypedDict):
    """A row that says what it waits for."""

    id: Id
    state: Annotated[str, written_as_text(RunState)]
    waitsFor: str


def add_waits(
    connection: Connection, now: int, runs: Sequence[Waiting], binding: Binding = UNBOUND
) -> None:
    """Write into each run, as `waitsFor`, what it waits for."""
    waiting = {run["id"]: run for run in runs if run["state"] in WAITING}
    ids, reasons = list(waiting), _Reasons(connection, now, binding)
    for start in range(0, len(ids), AT_ONCE):
        for row in connection.execute(_OPEN, {"runs": ids[start : start + AT_ONCE]}):
            waiting[row.id]["waitsFor"] = reasons.of_run(row)


def add_plan_waits(connection: Connection, now: int, plans: Sequence[PlanOfSync]) -> None:
    """Write into each plan, as `waitsFor`, what it waits for as a whole."""
    waiting = {plan["id"]: plan for plan in plans if plan["state"] in WAITING_PLANS}
    ids, reasons = list(waiting), _Reasons(connection, now)
    for start in range(0, len(ids), AT_ONCE):
        for row in connection.execute(_PLANS, {"plans": ids[start : start + AT_ONCE]}):
            waiting[row.plan_id]["waitsFor"] = reasons.of_plan(row)


def add_unplanned_reasons(
    connection: Connection, now: int, syncs: Sequence[Sync], binding: Binding = UNBOUND
) -> None:
    """Write into syncs that nobody has planned why; how much they changed is not known."""
    reason = "not planned yet" if binding.bound else ""
    for sync in syncs:
        if sync["state"] in UNPLANNED_SYNCS:
            reason = reason or _why_unplanned(connection, now)
            sync["reason"] = "; ".join(filter(None, (reason, sync["reason"])))
        if sync["state"] in {*UNPLANNED_SYNCS, SyncState.FAILED}:
            sync["changed"] = sync["unchanged"] = sync["unknown"] = None


def _why_unplanned(connection: Connection, now: int) -> str:
    rules = rules_in_force(connection)
    if rules["digest"] is None and rules["refused"]:
        return f"not planned yet: no rules are in force: {first_line(rules['error'])}"
    if not _dispatcher_alive(connection, now):
        return "not planned yet: no dispatcher gives a sign of life"
    return "not planned yet"


def _dispatcher_alive(connection: Connection, now: int) -> bool:
    return any((now - one.at) / 1000 < DEAD_AFTER for one in read_heartbeats(connection).values())


class _Reasons:
    """Says why runs wait; what several runs need is read once."""

    def __init__(self, connection: Connection, now: int, binding: Binding = UNBOUND) -> None:
        self.connection = connection
        self.now = now
        self.binding = binding
        self._line = cache(self._read_line)
        self._waves = cache(self._read_waves)
        self._ready = cache(self._read_ready)

    def of_run(self, row: Any) -> str:
        if row.plan_state != PlanState.ACTIVE and row.plan_state in OPEN_PLANS:
            return self.of_plan(row)
        if row.state == RunState.HELD:
            until = f", until {moment(row.expires_at)}" if row.expires_at is not None else ""
            return f"an approval, held since {moment(row.held_at)}{until}"
        if row.state == RunState.WAITING:
            return self._waves(row.plan_id, row.section, row.wave)
        return self._pause(row) or self._time(row) or self._turn(row)

    def of_plan(self, row: Any) -> str:
        if row.plan_state == PlanState.HELD:
            since = moment(row.plan_held_at)
            return f"the approval of the plan, held since {since}: it {row.plan_reason}"
        if row.plan_state == PlanState.GATED:
            return f"healthy resources, until {moment(row.until)}: {row.plan_reason}"
        if row.plan_state == PlanState.COLLECTING:
            its = "Applications" if row.awaits else "its turn"
            whom = its if row.plan_reason else "further syncs"
            return f"{whom}, until {moment(row.until)}{_why(row.plan_reason)}"
        return self._line(row.concurrency_key, row.concurrency_limit, row.queue_position)

    def _read_line(self, key: str, limit: int, position: int) -> str:
        before = self.connection.scalar(_BEFORE, {"key": key, "position": position})
        plans = "plan" if before == 1 else "plans"
        query = _HAVING.limit(min(limit or 1, FEW))
        having = self.connection.scalars(query, {"key": key}).all()
        has = f"; {', '.join(having)} {'has' if len(having) == 1 else 'have'} it"
        return f"a place under the key {key!r}: {before} {plans} before its own, limit {limit}{has}"

    def _read_waves(self, plan: str, section: str, wave: int) -> str:
        query = select(func.count()).where(
            _R.plan_id == plan, _R.section == section, _R.state.in_(OPEN_RUNS)
        )
        earlier = self.connection.scalar(query.where(_R.wave < wave)) or 0
        if earlier:
            return f"wave {wave}: {_runs(earlier)} of earlier waves are not over"
        begun = _R.wave == wave, _R.state != RunState.WAITING.value
        same = self.connection.scalar(query.where(*begun)) or 0
        if same:
            return f"its part of wave {wave}: {_runs(same)} of the part before are not over"
        return f"wave {wave}, which is about to begin"

    def _pause(self, row: Any) -> str:
        names: dict[str, str] = {Scope.ALL: "", Scope.RULE: row.rule, Scope.HANDLER: row.handler}
        for pause in self._pauses:
            if names.get(pause.scope) == pause.name:
                what = f"{pause.scope} {pause.name}".strip()
                if self.binding.bound and pause.scope != Scope.RULE:
                    return f"the end of the pause of {what}"
                return (
                    f"the end of the pause of {what}, set by {pause.operator}{_why(pause.reason)}"
                )
        return ""

    def _time(self, row: Any) -> str:
        if row.due_at is None or row.ready or row.due_at <= self.now:
            return ""
        at = moment(row.due_at)
        if row.state == RunState.PENDING:
            return f"the other side, which is asked again at {at}"
        return f"its next attempt at {at}"

    def _turn(self, row: Any) -> str:
        if not self._alive:
            return "a dispatcher: none gives a sign of life"
        until = self._blocked.get(row.lane)
        if until is not None:
            return f"the limit that {row.lane} has told, until {moment(until)}"
        share = self._pace.get("share", 0)
        if share and self._running[row.lane] >= share:
            return f"its lane's share: {row.lane} has {share} attempts, which is all that it may"
        before = bisect_left(self._ready(row.lane), row.virtual_time)
        many = f"{MOST} or more" if before == MOST else before
        turn = f"its turn in the lane {row.lane}: {many} before it"
        rate = self._pace.get("rates", {}).get(row.handler)
        return f"{turn}, at most {rate:g} a second" if rate else turn

    def _read_ready(self, lane: str) -> Sequence[int]:
        return self.connection.scalars(_READY, {"lane": lane}).all()

    @cached_property
    def _pauses(self) -> Sequence[Pause]:
        return pauses_in_force(self.connection)

    @cached_property
    def _blocked(self) -> dict[str, int]:
        return blocked_lanes(self.connection, self.now)

    @cached_property
    def _running(self) -> Counter[str]:
        return Counter({row.lane: row.n for row in self.connection.execute(_RUNNING)})

    @cached_property
    def _pace(self) -> dict[str, Any]:
        return get_value(self.connection, PACE) or {}

    @cached_property
    def _alive(self) -> bool:
        return _dispatcher_alive(self.connection, self.now)


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""


def _runs(number: int) -> str:
    return f"{number:,} {'run' if number == 1 else 'runs'}"
