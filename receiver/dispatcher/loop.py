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
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from sqlalchemy import Connection

from receiver.core.errors import HandlersHang, LedgerDamaged, LedgerUnavailable
from receiver.core.interruption import Stopped
from receiver.core.logs import Log, write_event
from receiver.core.model import Event, from_ms, rfc3339
from receiver.dispatcher.clock_jumps import Clock
from receiver.dispatcher.heartbeat import Heartbeat
from receiver.dispatcher.preparation import Drafts
from receiver.dispatcher.rule_sets import Reload, RulesInForce, store_reload
from receiver.dispatcher.turn import Work
from receiver.dispatcher.worker_pool import Crew, Finished, moved
from receiver.ledger.audit.key_values import CREATED, PACE, get_value, put_value
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.queue.claim import Claimed, Taken, claim, wake
from receiver.ledger.queue.clock_shift import move_times
from receiver.ledger.queue.heartbeats import forget_beats
from receiver.ledger.queue.leases import release_lost
from receiver.ledger.queue.pending_work import Backlog, backlog
from receiver.ledger.queue.rate_limits import Buckets
from receiver.settings.model import Settings

BATCH = 32
"""Syncs, and plans, of one turn: enough to share a disk sync, few enough to stay prompt."""
BUSY_BATCH = 8
"""Syncs of one turn while there are runs to be made: planning more does not finish more."""
REPLAYS = 4
"""Replays of one turn: their notifications are read whole."""
ELSEWHERE = 0.02
"""Seconds until a look whether another dispatcher, who was planning, has left something."""
AWAY = 1.0
"""Seconds until the next try when the ledger cannot be used."""
IDLE = 5.0
"""Seconds of a turn's longest wait: the poll that finds what a lost ring did not tell."""


class Dispatcher:
    """Plans and runs, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        rules: RulesInForce,
        drafts: Drafts,
        wakeup: Wakeup,
        work: Callable[[Claimed], Any],
        pace: Buckets,
        log: Log,
        *,
        owner: str,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._rules = rules
        self._drafts = drafts
        drafts.pulse = self._look_up
        self._wakeup = wakeup
        self._pace = pace
        self._log = log
        self._crew = Crew(settings.attempt_threads, work, wakeup.notify, log)
        self._lane_limit = max(1, settings.attempt_threads // 4)
        self._lease = int(settings.lease * 1000)
        self.owner = owner
        self._heartbeat = Heartbeat(self.owner, self._lease)
        self._unwritten: list[Finished] = []
        self._reload: Reload | None = None
        self._stopping = False
        self._clock = Clock()
        self._jumped = 0

    def stop(self) -> None:
        """Claim nothing more, and return from `run` when the attempts under way have ended."""
        self._stopping = True
        self._wakeup.notify()

    def reload(self) -> None:
        """Load the rules again."""
        self._rules.ask()

    def run(self) -> None:
        """Loop until `stop`, then drain while the settings allow.

        Raises LedgerDamaged at once, HandlersHang after the drain: only a new process can go on.
        """
        while not self._begun_safely():
            self._wakeup.wait(AWAY)
        while not self._stopping:
            self._wakeup.wait(self._turn_safely(claims=True))
        self._drain()
        if self._crew.exhausted:
            raise HandlersHang(f"{self._crew.hanging} attempts hang")

    def _begun_safely(self) -> bool:
        """Begin; False if the ledger cannot be used now. Whoever is to stop need not begin."""
        try:
            return self._stopping or self._begin()
        except LedgerDamaged:
            raise
        except LedgerUnavailable as error:
            self._log.error("ledger.unavailable", reason=str(error))
            return False

    def _begin(self) -> bool:
        """Take over what an earlier process left, and the rules that it had in force."""
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            alone = "" if self._ledger.shared else self.owner
            uow = UnitOfWork(connection, now)
            release_lost(uow, alone=alone)
            pace = {"share": self._lane_limit, "rates": dict(self._pace.rates)}
            put_value(connection, PACE, pace)
            forget_beats(connection, now, alone=alone)
            uow.finish()
            created = from_ms(get_value(connection, CREATED))
        self._tell(uow.events, now)
        self._drafts.act_since(self._settings.act_since or created)
        self._drafts.use(self._rules.last_good())
        self._rules.start()
        return True

    def _drain(self) -> None:
        until = time.monotonic() + self._settings.drain
        while self._crew.busy and time.monotonic() < until:
            self._wakeup.wait(min(self._turn_safely(claims=False), 1.0))
        self._turn_safely(claims=False)
        self._give_back()
        self._log.info("dispatcher.stopped", leftToTheNext=self._crew.busy)

    def _give_back(self) -> None:
        """Have nobody suspect what was left because this process was told to stop."""
        with suppress(LedgerUnavailable), self._ledger.write(LockMode.APPEND) as connection:
            self._drafts.clear(connection)

    def _turn_safely(self, *, claims: bool) -> float:
        """Take a turn; a ledger that takes no write costs a second, never the process."""
        try:
            return self._turn(claims=claims)
        except LedgerDamaged:
            raise
        except LedgerUnavailable as error:
            self._log.error("ledger.unavailable", reason=str(error))
            return AWAY

    def _turn(self, *, claims: bool) -> float:
        """Do what there is to do; return the seconds until there may be more."""
        self._unwritten += self._crew.finished()
        self._stopping = self._stopping or self._crew.exhausted
        self._reload = self._rules.news() or self._reload
        with self._ledger.read() as connection:
            todo = backlog(connection, self._ledger.now(connection))
        work = Work(finished=list(self._unwritten), reload=self._reload)
        work.jumped = bool(self._jumped or self._clock.look(todo.now))
        if claims and work.reload:
            self._drafts.heed(work.reload)
        with ExitStack() as held:
            to_plan = claims and todo.to_plan
            mine = to_plan and held.enter_context(self._ledger.exclusive_task("planning"))
            if mine:
                self._prepare(todo, work)
            work.beat = self._heartbeat.wait <= 0
            ready = claims and todo.ready and self._crew.free > 0
            wanted = work.finished or work.planned or work.reload or work.beat or work.jumped
            if not (wanted or ready):
                return self._pause(todo, elsewhere=to_plan and not mine)
            events, taken, now = self._write(work, claims=claims)
        self._unwritten, self._reload, self._jumped = [], None, 0
        self._tell(events, now)
        for run in taken.runs:
            self._crew.start(run)
        busy = work.planned or work.finished or taken.runs or work.jumped
        if busy:
            return 0.0
        return self._pause(todo, taken.again_at, elsewhere=to_plan and not mine)

    def _notice(self, work: Work, now: int) -> bool:
        """Move what is in memory along with a clock that was set; whether the ledger has to follow.

        A server's clock is for those to set right who run it.
        """
        jump = 0 if self._ledger.shared else self._clock.jump(now)
        if jump:
            self._jumped += jump
            self._crew.move(jump)
            work.finished = self._unwritten = [
                Finished(moved(item.run, jump), item.outcome) for item in self._unwritten
            ]
        return bool(self._jumped)

    def _prepare(self, todo: Backlog, work: Work) -> None:
        """Match and render, before the write lock is taken."""
        work.collected = todo.collected
        with self._ledger.read() as connection:
            self._draft(connection, todo, work)

    def _look_up(self) -> None:
        """Look up from planning: a stop leaves it to the next start, and leases want renewing."""
        if self._stopping:
            raise Stopped
        if self._heartbeat.wait <= 0:
            with self._ledger.write(LockMode.SHARED) as connection:
                uow = UnitOfWork(connection, self._ledger.now(connection))
                self._heartbeat.store(uow, self._crew)
                uow.finish()
            self._tell(uow.events, uow.now)

    def _draft(self, connection: Connection, todo: Backlog, work: Work) -> None:
        if todo.new:
            uow = BUSY_BATCH if todo.ready or self._crew.busy else BATCH
            work.plannings = self._drafts.plannings(connection, uow)
        if todo.stirred:
            work.steps = self._drafts.steps(connection, BATCH)
        if todo.replays:
            work.replays = self._drafts.replays(connection, REPLAYS)

    def _write(self, work: Work, *, claims: bool) -> tuple[list[Event], Taken, int]:
        with self._ledger.write(work.hold) as connection:
            now = self._ledger.now(connection)
            uow = UnitOfWork(connection, now)
            if self._notice(work, now):
                move_times(uow, self._jumped)
            if work.reload:
                uow.events += store_reload(connection, now, work.reload)
            work.store(uow, self.owner)
            if work.planned:
                self._drafts.clear(connection)
            if work.beat:
                self._heartbeat.store(uow, self._crew)
            taken = self._claim(uow) if claims else Taken()
            uow.finish()
            if work.planned:
                self._ledger.notify(connection)
        return uow.events, taken, now

    def _claim(self, uow: UnitOfWork) -> Taken:
        wake(uow.connection, uow.now)
        return claim(
            uow,
            owner=self.owner,
            lease=self._lease,
            free=self._crew.free,
            busy=self._crew.busy_lanes(),
            lane_limit=self._lane_limit,
            pace=self._pace,
        )

    def _pause(
        self, todo: Backlog, again_at: int | None = None, *, elsewhere: bool = False
    ) -> float:
        until = [ELSEWHERE if elsewhere else IDLE, self._heartbeat.wait]
        if again_at is not None:
            until.append((again_at - todo.now) / 1000)
        if todo.next_collected is not None and not self._stopping:
            until.append((todo.next_collected - todo.now) / 1000)
        if todo.next_due is not None and self._crew.free > 0:
            until.append((todo.next_due - todo.now) / 1000)
        return max(0.001, min(until))

    def _tell(self, events: Sequence[Event], now: int) -> None:
        at = rfc3339(from_ms(now))
        for event in events:
            write_event(self._log, event, at)
