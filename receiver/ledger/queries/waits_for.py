"""Why a run waits, in words: a pause, its turn, a limit, a time, its plan's place, a person."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text

from receiver.core.states import OPEN_PLANS, OPEN_RUNS, PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.audit.key_values import PACE, get_value
from receiver.ledger.queries.rows import Row, moment
from receiver.ledger.queries.status import SILENCE
from receiver.ledger.queue.heartbeats import beats
from receiver.ledger.queue.lane_blocks import blocked_lanes
from receiver.ledger.queue.pauses import Scope, pauses_in_force

MOST = 1000
"""Runs that are counted before one in its lane."""

_R, _P = tables.runs.c, tables.plans.c
_OPEN = (
    select(
        *(_R[name] for name in (
            "id", "state", "rule", "handler", "section", "wave", "lane", "ready", "turn", "due_at",
            "failures", "paused_at", "plan_id",
        )),
        _P.state.label("plan_state"), _P.reason.label("plan_reason"), _P.due_at.label("collects"),
        _P.concurrency_key, _P.concurrency_limit, _P.place,
    )
    .join(tables.plans, _P.id == _R.plan_id)
    .where(_R.id.in_(bindparam("runs", expanding=True)))
)  # fmt: skip
_READY = text(
    f"SELECT turn FROM runs WHERE {tables.READY_RUN} AND lane = :lane ORDER BY turn LIMIT {MOST}"
)
_RUNNING = text(f"SELECT lane, COUNT(*) AS n FROM runs WHERE {tables.RUNNING_RUN} GROUP BY lane")
_BEFORE = text(
    f"SELECT COUNT(*) FROM plans WHERE concurrency_key = :key AND {tables.STARTED_PLAN} "
    "AND place < :place"
)
WAITING = frozenset(OPEN_RUNS) - {RunState.RUNNING}


def tell_waits(connection: Connection, now: int, runs: Sequence[Row]) -> list[Row]:
    """Add to each run, as `waitsFor`, what it waits for; "" if it does not."""
    wanted = [run["id"] for run in runs if run["state"] in WAITING]
    told: dict[str, str] = {}
    house = _House(connection, now)
    for start in range(0, len(wanted), 500):
        for row in connection.execute(_OPEN, {"runs": wanted[start : start + 500]}):
            told[row.id] = house.why(row)
    return [run | {"waitsFor": told.get(run["id"], "")} for run in runs]


class _House:
    """What is read once for the runs of one answer."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self._line = cache(self._read_line)
        self._waves = cache(self._read_waves)
        self._ready = cache(self._read_ready)

    def why(self, row: Any) -> str:
        if row.plan_state != PlanState.ACTIVE and row.plan_state in OPEN_PLANS:
            return self._of_plan(row)
        if row.state == RunState.HELD:
            return "an approval"
        if row.state == RunState.WAITING:
            return self._waves(row.plan_id, row.section, row.wave)
        return self._pause(row) or self._time(row) or self._turn(row)

    def _of_plan(self, row: Any) -> str:
        if row.plan_state == PlanState.HELD:
            return f"the approval of the plan, which {row.plan_reason}"
        if row.plan_state == PlanState.COLLECTING:
            return f"further syncs, until {moment(row.collects)}"
        return self._line(row.concurrency_key, row.concurrency_limit, row.place)

    def _read_line(self, key: str, limit: int, place: int) -> str:
        before = self.connection.scalar(_BEFORE, {"key": key, "place": place})
        plans = "plan" if before == 1 else "plans"
        return f"a place under the key {key!r}: {before} {plans} before its own, limit {limit}"

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
        names = {Scope.ALL: "", Scope.RULE: row.rule, Scope.HANDLER: row.handler}
        for pause in self._pauses:
            if names[Scope(pause.scope)] == pause.name:
                what = f"{pause.scope} {pause.name}".strip()
                why = f": {pause.reason}" if pause.reason else ""
                return f"the end of the pause of {what}, set by {pause.operator}{why}"
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
        before = bisect_left(self._ready(row.lane), row.turn)
        many = f"{MOST} or more" if before == MOST else before
        turn = f"its turn in the lane {row.lane}: {many} before it"
        rate = self._pace.get("rates", {}).get(row.handler)
        return f"{turn}, at most {rate:g} a second" if rate else turn

    def _read_ready(self, lane: str) -> Sequence[int]:
        return self.connection.scalars(_READY, {"lane": lane}).all()

    @cached_property
    def _pauses(self) -> Sequence[Any]:
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
        found = beats(self.connection).values()
        return any((self.now - one.at) / 1000 < SILENCE for one in found)


def _runs(number: int) -> str:
    return f"{number:,} {'run' if number == 1 else 'runs'}"
