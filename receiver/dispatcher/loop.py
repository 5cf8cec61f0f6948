"""The dispatcher's loop.

Guarantee: an accepted sync is planned, and each of its runs ends, whenever this process is
killed. It holds because everything that the loop goes by is in the ledger before anything is
done about it: a sync stays `new` until its plans are committed, an attempt starts after its
claim is committed, and an attempt without a committed outcome is made again with the same
idempotency key. What is only in memory here (attempts under way, their outcomes) may be lost.

A turn has four stages, and one writing transaction: it observes what has ended and what is due,
prepares plans and steps (matching and rendering hold no lock), commits the outcomes, the plans,
the steps and the claim of due runs, and starts the attempts that it has claimed. So the disk is
synced once a turn, however much there was to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from receiver.core.errors import HandlersHang, LedgerDamaged, LedgerUnavailable
from receiver.core.interruption import Stopped
from receiver.core.logs import Log, write_event
from receiver.core.model import from_ms, rfc3339
from receiver.dispatcher.companion import Companion
from receiver.dispatcher.heartbeat import Heartbeat
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.rule_sets import Reload, RulesInForce
from receiver.dispatcher.turn import Turn
from receiver.dispatcher.watches import Watches
from receiver.dispatcher.worker_pool import AHEAD, Finished, WorkerPool, shifted
from receiver.ledger.audit.key_values import CREATED, PACE, get_value, put_value
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.plans.custom_rules import delete_custom_rules
from receiver.ledger.queue.claim import ClaimedRun, Taken, claim, ready_runs, wake
from receiver.ledger.queue.clock_shift import ClockWatch, shift_times
from receiver.ledger.queue.heartbeats import delete_old_heartbeats
from receiver.ledger.queue.leases import release_lost
from receiver.ledger.queue.pending_work import find_pending_work
from receiver.ledger.queue.rate_limits import Buckets
from receiver.settings.model import Settings

if TYPE_CHECKING:
    from receiver.tracing.tracing import Tracing

BATCH = 32
"""Syncs, and plans, of one turn: enough to share a disk sync, few enough to stay prompt."""
ENOUGH = 64
"""Ready runs at which planning may wait: it would not finish more, and takes the processor."""
LEFT = 0.25
"""Seconds that new syncs are left for that at most: ready runs may wait for a host that is slow."""
REPLAYS = 4
"""Replays of one turn: their notifications are read whole."""
ELSEWHERE = 0.02
"""Seconds until the next turn where another dispatcher was planning; it may have left something."""
AWAY = 1.0
"""Seconds until the next try when the ledger cannot be used."""
GATHER = 0.03
"""Seconds that a turn waits at most for the attempts that have just begun: the outcomes of quick
ones are then written together, about 30 of one host at a time instead of 8."""
IDLE = 5.0
"""Seconds of a turn's longest wait: the poll finds what a wake-up that was lost did not report."""


class Dispatcher:
    """Plans syncs and runs actions until it is stopped."""

    def __init__(
        self, settings: Settings, ledger: Ledger, rules: RulesInForce, preparation: Preparation,
        wakeup: Wakeup, attempt: Callable[[ClaimedRun], Any], pace: Buckets, log: Log, *,
        owner: str, companions: Sequence[Companion] = (), watches: Watches | None = None,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._ledger = ledger
        self._rules = rules
        self._preparation = preparation
        preparation.checkpoint = self._between_steps
        self._companions = companions
        self._watches = watches
        self._tracing = tracing
        self._wakeup = wakeup
        self._pace = pace
        self._log = log
        threads = settings.attempt_threads
        self._lane_limit = max(1, threads // 4)
        self._pool = WorkerPool(threads, attempt, wakeup.notify, log, lane_limit=self._lane_limit)
        self._lease = int(settings.lease * 1000)
        self.owner = owner
        self._heartbeat = Heartbeat(owner, self._lease)
        self._own = OwnNotifications(settings.page_url, reaches=settings.tenants is not None)
        self._clock = ClockWatch()
        self._stopping = False
        self._plan_at = 0.0  # new syncs are left to no later time
        # What was observed and is not stored yet: a commit that fails leaves it to the next turn.
        self._finished: list[Finished] = []
        self._returned: list[ClaimedRun] = []
        self._reload: Reload | None = None
        self._clock_jump = 0
        self._woken: set[str] = set()

    def stop(self) -> None:
        """Claim nothing more, and return from `run` when the attempts under way have ended."""
        self._stopping = True
        self._wakeup.notify()

    def reload(self) -> None:
        """Load the rules again."""
        self._rules.request_reload()

    def run(self) -> None:
        """Loop until `stop`, then drain while the settings allow.

        Raises:
            LedgerDamaged: at once; only a new process can go on.
            HandlersHang: after the drain, likewise.
        """
        while not self._stopping and (wait := self._try(self._begin)):
            self._wakeup.wait(wait)
        while not self._stopping:
            self._wakeup.wait(self._try(partial(self._turn, claims=True)))
        self._drain()
        if self._pool.exhausted:
            raise HandlersHang(f"{self._pool.hanging} attempts hang")

    def _try(self, step: Callable[[], float]) -> float:
        """Take a step, which returns the seconds until the next one; without a ledger, one."""
        try:
            return step()
        except LedgerDamaged:
            raise
        except LedgerUnavailable as error:
            self._log.error("ledger.unavailable", reason=str(error))
            return AWAY

    def _begin(self) -> float:
        """Take over what an earlier process left, and the rules that it had in force."""
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            alone = "" if self._ledger.shared else self.owner
            uow = UnitOfWork(connection, now)
            release_lost(uow, alone=alone)
            pace = {"share": self._lane_limit, "rates": dict(self._pace.rates)}
            put_value(connection, PACE, pace)
            delete_old_heartbeats(connection, now, alone=alone)
            if self._settings.tenants is None:
                delete_custom_rules(connection, now)
            self._load_traces(uow)
            uow.finish()
            created = from_ms(get_value(connection, CREATED))
        self._log_events(uow)
        self._preparation.act_since = self._settings.act_since or created
        self._preparation.use(self._rules.last_good())
        self._rules.start()
        for companion in self._companions:
            companion.start()
        return 0.0

    def _drain(self) -> None:
        turn = partial(self._turn, claims=False)
        until = time.monotonic() + self._settings.drain
        while self._pool.busy and time.monotonic() < until:
            self._wakeup.wait(min(self._try(turn), 1.0))
        self._try(turn)
        for companion in self._companions:
            companion.stop()
        if self._watches:
            self._watches.stop()
        # Nobody is to suspect what was left because this process was stopped.
        with suppress(LedgerUnavailable), self._ledger.write(LockMode.APPEND) as connection:
            self._preparation.clear_begun(connection, self._preparation.handover.unplanned())
        self._log.info("dispatcher.stopped", leftToTheNext=self._pool.busy)

    def _turn(self, *, claims: bool) -> float:
        """Observe, prepare, commit, start; return the seconds until there may be more to do.

        Others plan nothing until what is planned here is committed, or they would plan the same.
        """
        turn = self._observe(claims=claims)
        nobody = nullcontext(enter_result=False)
        lock = self._ledger.exclusive_task("planning") if turn.to_plan else nobody
        with lock as mine:
            self._prepare(turn, mine=mine)
            claimable = turn.claims and turn.pending_work.ready and self._pool.free > 0
            if not (turn.to_write or claimable):
                return self._wait_after(turn)
            self._commit(turn)
        for run in turn.taken.runs:  # only now, since their claims are committed
            self._pool.start(run)
        for companion in self._companions if turn.planned else ():
            companion.notify()
        self._pool.gather(GATHER)
        return 0.0 if turn.progressed else self._wait_after(turn)

    def _observe(self, *, claims: bool) -> Turn:
        """Take what has ended, what was loaded, and what the ledger has to do."""
        self._finished += self._pool.take_finished()
        self._returned += self._pool.take_back(every=not claims)
        self._stopping = self._stopping or self._pool.exhausted
        self._take_rules(claims=claims)
        with self._ledger.read() as connection:
            todo = find_pending_work(connection, self._ledger.now(connection))
            todo = replace(todo, seen=bool(self._preparation.handover.unplanned()))
            early = (todo.new or todo.seen) and time.monotonic() < self._plan_at
            if early and ready_runs(connection, ENOUGH, self._pool.full_lanes()) >= ENOUGH:
                todo = replace(todo, new=False, seen=False, left=True)
        jumped = bool(self._clock_jump or self._clock.measure(todo.now))
        if claims and self._watches:
            self._woken |= self._watches.take_woken(self._pool.run_ids())
        ended, woken = self._finished, self._woken
        return Turn(claims, todo, ended, self._returned, self._reload, jumped, woken)

    def _take_rules(self, *, claims: bool) -> None:
        """Plan by what was loaded; what came of the rule files is also stored before more comes."""
        self._reload = self._reload or self._rules.take_result()
        if claims and self._reload:
            self._preparation.apply(self._reload)
        if self._reload and not self._reload.of_files:
            self._reload = None

    def _prepare(self, turn: Turn, *, mine: bool) -> None:
        """Match and render, before the write lock is taken; nothing if planning is not ours."""
        turn.elsewhere = turn.to_plan and not mine
        if mine:
            todo, preparation = turn.pending_work, self._preparation
            turn.timed = todo.timed
            with self._ledger.read() as connection:
                if todo.new or todo.seen:
                    turn.plannings = preparation.plan_syncs(connection, BATCH, new=todo.new)
                    self._plan_at = time.monotonic() + LEFT
                if todo.signalled:
                    turn.steps = preparation.step_plans(connection, BATCH)
                if todo.replays:
                    turn.replays = preparation.plan_replays(connection, REPLAYS)
        # Asked last: preparing may have taken long, and may have written a heartbeat itself.
        turn.heartbeat_due = self._heartbeat.wait <= 0

    def _commit(self, turn: Turn) -> None:
        """Write all that the turn has to write, and claim due runs, in one transaction."""
        with self._ledger.write(turn.lock_mode) as connection:
            uow = UnitOfWork(connection, self._ledger.now(connection))
            # The clock first: outcomes, leases and claims are reckoned by the clock as it is now.
            self._follow_clock(turn, uow)
            turn.store(uow, self.owner)
            self._own.tell_held(uow)
            if turn.planned:
                self._preparation.clear_begun(connection, turn.waited)
            if turn.heartbeat_due:
                self._heartbeat.store(uow, self._pool, self._rules)
            # The claim last: it takes what the steps and outcomes above have made due.
            if turn.claims:
                turn.taken = self._claim(uow)
            self._load_traces(uow, turn.taken.runs)
            uow.finish()
            if turn.planned:
                self._ledger.notify(connection)
        self._finished, self._returned, self._woken = [], [], set()
        self._reload, self._clock_jump = None, 0
        self._preparation.handover.forget(turn.waited)
        self._log_events(uow)

    def _follow_clock(self, turn: Turn, uow: UnitOfWork) -> None:
        """Shift the times in memory and in the ledger if the clock was set.

        Those who run a server are to set its clock right; with it, nothing is shifted.
        """
        jump = 0 if self._ledger.shared else self._clock.restart(uow.now)
        if jump:
            self._clock_jump += jump
            self._pool.shift_times(jump)
            turn.finished = self._finished = [
                Finished(shifted(item.run, jump), item.outcome) for item in self._finished
            ]
        if self._clock_jump:
            shift_times(uow, self._clock_jump)

    def _claim(self, uow: UnitOfWork) -> Taken:
        wake(uow.connection, uow.now)
        return claim(
            uow, owner=self.owner, lease=self._lease, free=self._pool.free,
            busy=self._pool.busy_lanes(), lane_limit=self._lane_limit, pace=self._pace,
            ahead=self._pool.ahead(),
        )  # fmt: skip

    def _wait_after(self, turn: Turn) -> float:
        """Return the seconds until the next turn, unless a wake-up comes first."""
        until = [ELSEWHERE if turn.elsewhere else IDLE, self._heartbeat.wait]
        until += [LEFT] if turn.pending_work.left else []
        until += [AHEAD] if self._pool.waiting else []
        times = [turn.taken.again_at]
        if not self._stopping:
            times += [turn.pending_work.next_collected, turn.pending_work.next_expiring]
        if self._pool.free > 0:
            times.append(turn.pending_work.next_due)
        until += [(at - turn.pending_work.now) / 1000 for at in times if at is not None]
        return max(0.001, min(until))

    def _between_steps(self) -> None:
        """Interrupt planning for a stop, which leaves the rest to the next start; renew leases."""
        if self._stopping:
            raise Stopped
        if self._heartbeat.wait <= 0:
            with self._ledger.write(LockMode.SHARED) as connection:
                uow = UnitOfWork(connection, self._ledger.now(connection))
                self._heartbeat.store(uow, self._pool, self._rules)
                self._load_traces(uow)
                uow.finish()
            self._log_events(uow)

    def _log_events(self, uow: UnitOfWork) -> None:
        at = rfc3339(from_ms(uow.now))
        for event in uow.events:
            write_event(self._log, event, at)
        if self._tracing:
            self._tracing.tell(uow.events)

    def _load_traces(self, uow: UnitOfWork, runs: Sequence[ClaimedRun] = ()) -> None:
        """Read in which traces the spans of these events and attempts are."""
        if self._tracing:
            syncs = {event.sync for event in uow.events} | {run.sync for run in runs}
            self._tracing.load(uow.connection, syncs)
