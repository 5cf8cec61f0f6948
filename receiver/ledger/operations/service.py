"""The operators' acts: each in a transaction of its own, and published after its commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from receiver.core.model import from_ms
from receiver.ledger.audit.trail import Committed
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.acknowledge import acknowledge_run
from receiver.ledger.operations.approve import approve_plan, approve_run
from receiver.ledger.operations.cancel import Cancelled, cancel_plan, cancel_run, cancel_sync
from receiver.ledger.operations.common import Act, acted_plan, acted_run
from receiver.ledger.operations.hurry import hurry_run
from receiver.ledger.operations.pause import pause, resume
from receiver.ledger.operations.replay import ask_replay
from receiver.ledger.operations.retry import Chosen, failed_runs, retry_found, retry_run
from receiver.ledger.queries.rows import ActedPlan, ActedRun
from receiver.ledger.queue.pauses import Scope

SLICE = 100
"""Runs that one transaction retries of many: some 50 ms, so that the intake is not held up."""


@dataclass(frozen=True, slots=True)
class Retried:
    """The runs that are retried, and whether there are more of the chosen ones.

    ``until`` (milliseconds) is the time before which they had failed: who asks for the rest
    gives it again, and what fails anew meanwhile is left alone.
    """

    runs: tuple[str, ...]
    more: bool
    until: int


class Operations:
    """What operators do. Every method may raise LedgerUnavailable, and has then done nothing.

    Args:
        ledger: the ledger.
        committed: also wakes this host's dispatcher.
        own: tells what an act leaves held.
    """

    def __init__(self, ledger: Ledger, committed: Committed, own: OwnNotifications) -> None:
        self._ledger = ledger
        self._committed = committed
        self._own = own

    def retry(self, act: Act, run: str) -> ActedRun:
        """Repeat a run; see `retry_run` for its errors."""
        with self._unit_of_work() as uow:
            retry_run(uow, act, run)
            return acted_run(uow, run)

    def retry_many(self, act: Act, chosen: Chosen, limit: int) -> Retried:
        """Repeat at most ``limit`` failed runs, the oldest failures first.

        What fails again meanwhile is left to the next time. An error in between leaves those
        repeated that came before.
        """
        done: list[str] = []
        while True:
            with self._unit_of_work() as uow:
                until = uow.now if chosen.until is None else min(chosen.until, uow.now)
                chosen = replace(chosen, until=until)
                size = min(SLICE, limit - len(done))
                runs = failed_runs(uow, act, chosen, size + 1)
                retry_found(uow, act, runs[:size])
            done += [run.id for run in runs[:size]]
            more = len(runs) > size
            if not more or len(done) >= limit:
                return Retried(tuple(done), more, until)

    def hurry_run(self, act: Act, run: str) -> ActedRun:
        """Have a run tried at once that waits for a time; see there for its errors."""
        with self._unit_of_work() as uow:
            hurry_run(uow, act, run)
            return acted_run(uow, run)

    def acknowledge_run(self, act: Act, run: str) -> ActedRun:
        """Let a failed run be; see there for its errors."""
        with self._unit_of_work() as uow:
            acknowledge_run(uow, act, run)
            return acted_run(uow, run)

    def cancel_run(self, act: Act, run: str) -> ActedRun:
        """Cancel a run; see there for its errors."""
        with self._unit_of_work() as uow:
            cancel_run(uow, act, run)
            return acted_run(uow, run)

    def cancel_plan(self, act: Act, plan: str) -> tuple[ActedPlan, Cancelled]:
        """Cancel a plan; see there for its errors."""
        with self._unit_of_work() as uow:
            cancelled = cancel_plan(uow, act, plan)
            return acted_plan(uow, plan), cancelled

    def cancel_sync(self, act: Act, sync: str) -> Cancelled:
        """Cancel the plans of a sync; see there for its errors."""
        with self._unit_of_work() as uow:
            return cancel_sync(uow, act, sync)

    def approve_run(self, act: Act, run: str) -> ActedRun:
        """Let a held run go on; see there for its errors."""
        with self._unit_of_work() as uow:
            approve_run(uow, act, run)
            return acted_run(uow, run)

    def approve_plan(self, act: Act, plan: str) -> tuple[ActedPlan, list[str]]:
        """Let a held plan, or the held runs of a plan, go on; see there for its errors."""
        with self._unit_of_work() as uow:
            runs = approve_plan(uow, act, plan)
            return acted_plan(uow, plan), runs

    def pause(self, act: Act, scope: Scope, name: str = "") -> bool:
        """Let no attempt of it be claimed; whether it was not paused before."""
        with self._unit_of_work() as uow:
            return pause(uow, act, scope, name)

    def resume(self, act: Act, scope: Scope, name: str = "") -> bool:
        """Lift a pause; whether there was one."""
        with self._unit_of_work() as uow:
            return resume(uow, act, scope, name)

    def replay(self, act: Act, sync: str, rule: str = "", *, any_rules: bool = False) -> str:
        """Ask for a sync to be planned anew and return the replay's id; see `ask_replay`."""
        with self._unit_of_work() as uow:
            return ask_replay(uow, act, sync, rule, any_rules=any_rules)

    @contextmanager
    def _unit_of_work(self) -> Iterator[UnitOfWork]:
        with self._ledger.write() as connection:
            uow = UnitOfWork(connection, self._ledger.now(connection))
            yield uow
            self._own.tell_held(uow)
            uow.finish()
            self._ledger.notify(connection)
        self._committed(from_ms(uow.now), uow.events)
