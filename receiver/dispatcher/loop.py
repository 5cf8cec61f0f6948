"""The dispatcher's loop.

Guarantee: an accepted sync is planned, and each of its runs ends, whenever this process is
killed. It holds because everything that the loop knows is in the ledger before anything is
done about it: a sync stays `new` until its plans are committed, an attempt starts after its
claim is committed, and an attempt without a committed outcome is made again with the same
idempotency key. What is only in memory here (the crew's attempts, their outcomes) may be lost.

One turn is one transaction: the outcomes that came in, the syncs and the plans' steps that
were worked out beforehand (matching and rendering hold no lock), and the claim of due runs.
So the disk is synced once a turn, however much there was to do.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from receiver.dispatcher.crew import Crew, Finished
from receiver.dispatcher.rules import Reload, RulesInForce
from receiver.errors import LedgerUnavailable
from receiver.ledger.batch import Batch
from receiver.ledger.claim import Backlog, Claimed, backlog, claim, release_lost, renew, wake
from receiver.ledger.connect import Ledger
from receiver.ledger.doorbell import Doorbell
from receiver.ledger.marks import CREATED, HEARTBEAT, RULES, get_mark, keep_rule_set, put_mark
from receiver.ledger.outcomes import store_settlements
from receiver.ledger.planning import (
    Advance,
    Planning,
    StoredPlan,
    StoredSync,
    known_images,
    new_syncs,
    stirred_plans,
    stored_sync,
)
from receiver.ledger.storing import store_advances, store_plannings
from receiver.logs import Log, write_event
from receiver.model import Event, Json, PlanState, Sync, SyncState, new_id, rfc3339
from receiver.planner import Planner, images_key, read_sync, step
from receiver.render import Renderer
from receiver.retry import settle
from receiver.settings import Settings

BATCH = 32
"""Syncs, and plans, of one turn: enough to share a disk sync, few enough to stay prompt."""
BUSY_BATCH = 8
"""Syncs of one turn while there are runs to be made: planning more does not finish more."""
IDLE = 5.0
"""Seconds of a turn's longest wait: the poll that finds what a lost ring did not tell."""
HEARTBEAT_EVERY = 5.0
GRACE = 10.0
"""Seconds that an attempt may overrun its timeout before its lease is let go."""


@dataclass(slots=True)
class _Work:
    """What one turn has to write."""

    finished: Sequence[Finished] = ()
    plannings: list[Planning] = field(default_factory=list)
    steps: list[tuple[StoredPlan, Advance]] = field(default_factory=list)
    reload: Reload | None = None
    beat: bool = False


class Dispatcher:
    """Plans and runs, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        rules: RulesInForce,
        renderer: Renderer,
        doorbell: Doorbell,
        work: Callable[[Claimed], Any],
        log: Log,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._rules = rules
        self._renderer = renderer
        self._doorbell = doorbell
        self._log = log
        self._crew = Crew(settings.attempt_threads, work, doorbell.ring)
        self._lane_limit = max(1, settings.attempt_threads // 4)
        self._lease = int(settings.lease * 1000)
        self.owner = new_id("w")
        self._planner: Planner | None = None
        self._syncs: OrderedDict[str, Sync] = OrderedDict()
        self._unwritten: list[Finished] = []
        self._next_beat = 0.0
        self._stopping = False
        self._act_since = settings.act_since

    def stop(self) -> None:
        """Claim nothing more, and return from `run` when the attempts under way have ended."""
        self._stopping = True
        self._doorbell.ring()

    def reload(self) -> None:
        """Load the rules again."""
        self._rules.ask()

    def run(self) -> None:
        """Loop until `stop`, then drain for as long as the settings allow."""
        self._begin()
        while not self._stopping:
            self._doorbell.wait(self._turn_safely(claims=True))
        self._drain()

    def _begin(self) -> None:
        """Take over what an earlier process left, and the rules that it had in force."""
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            lost = release_lost(connection, now, alone=self.owner)
            if self._act_since is None:
                created = get_mark(connection, CREATED)
                self._act_since = datetime.fromtimestamp(created / 1000, UTC)
        self._tell(lost, now)
        self._planner = self._rules.last_good()
        self._rules.start()

    def _drain(self) -> None:
        until = time.monotonic() + self._settings.drain
        while self._crew.busy and time.monotonic() < until:
            self._doorbell.wait(min(self._turn_safely(claims=False), 1.0))
        self._turn_safely(claims=False)
        self._log.info("dispatcher.stopped", leftToTheNext=self._crew.busy)

    def _turn_safely(self, *, claims: bool) -> float:
        """Take a turn; a ledger that takes no write costs a second, never the process."""
        try:
            return self._turn(claims=claims)
        except LedgerUnavailable as error:
            self._log.error("ledger.unavailable", reason=str(error))
            return 1.0

    def _turn(self, *, claims: bool) -> float:
        """Do what there is to do; return the seconds until there may be more."""
        self._unwritten += self._crew.finished()
        work = _Work(finished=list(self._unwritten), reload=self._rules.news())
        with self._ledger.read() as connection:
            todo = backlog(connection, self._ledger.now(connection))
            if claims:
                self._prepare(connection, todo, work)
        work.beat = time.monotonic() >= self._next_beat
        ready = claims and todo.ready and self._crew.free > 0
        if not (work.finished or work.plannings or work.steps or work.reload or work.beat or ready):
            return self._pause(todo)
        events, claimed, now = self._write(work, claims=claims)
        self._unwritten = []
        self._tell(events, now)
        for run in claimed:
            self._crew.start(run)
        busy = work.plannings or work.steps or work.finished or claimed
        return 0.0 if busy else self._pause(todo)

    def _prepare(self, connection: Connection, todo: Backlog, work: _Work) -> None:
        """Match and render, before the write lock is taken."""
        if work.reload and work.reload.planner:
            self._planner = work.reload.planner
            self._rules.remember(work.reload.planner.rule_set)
        if todo.new and self._planner:
            seen_images: dict[str, dict[str, str]] = {}
            batch = BUSY_BATCH if todo.ready or self._crew.busy else BATCH
            for stored in new_syncs(connection, batch):
                work.plannings.append(self._plan(connection, self._planner, stored, seen_images))
        if todo.stirred:
            work.steps = [(p, self._step(connection, p)) for p in stirred_plans(connection, BATCH)]

    def _plan(
        self,
        connection: Connection,
        planner: Planner,
        stored: StoredSync,
        images: dict[str, dict[str, str]],
    ) -> Planning:
        try:
            sync = self._remember(stored)
            key = images_key(sync)
            if key not in images:
                images[key] = known_images(connection, key)
            planning = planner.plan(
                sync, stored.delivery, images[key], refusal=self._too_old(stored, sync)
            )
            images[key] |= planning.images
        except Exception as error:  # noqa: BLE001 one sync that we cannot plan holds up no other
            self._log.error("sync.bug", sync=stored.id, traceback=traceback.format_exc())
            reason = f"not planned: {type(error).__name__}; see the log"
            event = Event("sync.failed", {"reason": reason}, stored.delivery, stored.id)
            return Planning(stored.id, "", SyncState.FAILED, reason, None, events=(event,))
        return planning

    def _step(self, connection: Connection, plan: StoredPlan) -> Advance:
        try:
            rule = self._rules.rule(plan.rule_set, plan.rule)
            return step(plan, rule, lambda: self._sync(connection, plan.sync), self._renderer)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 one plan that breaks holds up no other
            self._log.error("plan.bug", plan=plan.id, traceback=traceback.format_exc())
            reason = f"broke off: {type(error).__name__}; see the log"
            data = {"rule": plan.rule, "reason": reason}
            event = Event("plan.failed", data, sync=plan.sync, plan=plan.id)
            return Advance(
                plan.id, plan.sync, "", end=PlanState.FAILED, reason=reason, events=(event,)
            )

    def _sync(self, connection: Connection, sync: str) -> Sync:
        return self._syncs.get(sync) or self._remember(stored_sync(connection, sync))

    def _remember(self, stored: StoredSync) -> Sync:
        """Read a sync and keep it at hand: its next waves need it again soon."""
        sync = self._syncs[stored.id] = read_sync(stored)
        while len(self._syncs) > BATCH * 2:
            self._syncs.popitem(last=False)
        return sync

    def _too_old(self, stored: StoredSync, sync: Sync) -> str:
        """Return why a sync is stored only: it finished long ago, or before we were here."""
        if sync.finished_at is None:
            return ""
        received = datetime.fromtimestamp(stored.received_at / 1000, UTC)
        finished = rfc3339(sync.finished_at)
        # Argo CD writes whole seconds: a sync of the second in which we came is ours.
        if self._act_since and sync.finished_at < self._act_since - timedelta(seconds=1):
            return f"finished at {finished}, before this ledger acts ({rfc3339(self._act_since)})"
        if sync.finished_at < received - timedelta(seconds=self._settings.max_age):
            return f"finished at {finished}, more than {self._settings.max_age:g} s ago"
        return ""

    def _write(self, work: _Work, *, claims: bool) -> tuple[list[Event], list[Claimed], int]:
        claimed: list[Claimed] = []
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            batch = Batch(connection, now)
            if work.reload:
                batch.events.append(self._store_reload(connection, now, work.reload))
            # Steps before outcomes: these stir the plans that those were worked out for.
            if work.steps:
                store_advances(batch, work.steps)
            if work.finished:
                settled = [settle(item.run, item.outcome, now) for item in work.finished]
                store_settlements(batch, self.owner, settled)
            if work.plannings:
                store_plannings(batch, work.plannings)
            batch.flush()
            events = batch.events
            if work.beat:
                events += self._store_beat(connection, now)
            if claims:
                wake(connection, now)
                claimed, started = claim(
                    connection,
                    now,
                    owner=self.owner,
                    lease=self._lease,
                    free=self._crew.free,
                    busy=self._crew.busy_lanes(),
                    lane_limit=self._lane_limit,
                )
                events += started
        return events, claimed, now

    def _store_beat(self, connection: Connection, now: int) -> list[Event]:
        self._next_beat = time.monotonic() + HEARTBEAT_EVERY
        put_mark(connection, HEARTBEAT, {"owner": self.owner, "at": now})
        renew(connection, now, self.owner, self._lease, self._crew.alive(GRACE))
        return release_lost(connection, now)

    def _store_reload(self, connection: Connection, now: int, reload: Reload) -> Event:
        mark = get_mark(connection, RULES) or {}
        if reload.planner:
            rule_set = reload.planner.rule_set
            keep_rule_set(connection, now, rule_set.digest, rule_set.files)
            mark = {"digest": rule_set.digest, "rules": len(rule_set.rules), "loadedAt": now}
            names: list[Json] = [rule.name for rule in rule_set.rules]
            event = Event("rules.loaded", {"ruleSet": rule_set.digest[:12], "rules": names[:50]})
            put_mark(connection, RULES, mark | {"ok": True, "error": ""})
        else:
            event = Event("rules.refused", {"reason": reload.error, "inForce": mark.get("digest")})
            put_mark(connection, RULES, mark | {"ok": False, "error": reload.error})
        return event

    def _pause(self, todo: Backlog) -> float:
        until = [IDLE, self._next_beat - time.monotonic()]
        if todo.next_due is not None and self._crew.free > 0:
            until.append((todo.next_due - todo.now) / 1000)
        return max(0.001, min(until))

    def _tell(self, events: Sequence[Event], now: int) -> None:
        at = rfc3339(datetime.fromtimestamp(now / 1000, UTC))
        for event in events:
            write_event(self._log, event, at)
