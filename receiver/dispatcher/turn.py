"""One turn of the loop: what it has observed, what was prepared for it, and how that is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from receiver.core.states import SyncState
from receiver.dispatcher.rule_sets import Reload, store_reload
from receiver.dispatcher.worker_pool import Finished
from receiver.ledger.engine.ledger import LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.expire import expire_held
from receiver.ledger.operations.replay import Replay, store_replays
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.plans.records import Advance, Planning, StoredPlan
from receiver.ledger.plans.start import start_collected
from receiver.ledger.plans.store import store_advances, store_plannings
from receiver.ledger.plans.supersede import supersede_returned
from receiver.ledger.queue.claim import ClaimedRun, Taken, hurry
from receiver.ledger.queue.leases import give_back
from receiver.ledger.queue.pending_work import PendingWork
from receiver.planning.retry import settle

STOPPED = "its process was stopped"
SLOW = "what it would have called is slow now, or takes no more"
"""Why a run that was claimed was not begun."""


@dataclass(slots=True)
class Turn:
    """One turn; each stage fills in its part.

    Attributes:
        claims: whether it plans and claims; while the process drains, it only stores.
        pending_work: what there is to do in the ledger.
        finished: attempts that have ended here and are not stored yet.
        returned: runs that were claimed here and are not begun, which is not stored yet.
        reload: rules that were loaded and are not stored yet.
        clock_jumped: whether the clock was set, and stored times have to follow.
        woken: runs that wait for something that has ended.
        elsewhere: whether another dispatcher plans what there is to plan.
        plannings: planned syncs.
        steps: next steps of plans.
        replays: syncs that were planned anew, or why they could not be.
        timed: whether debounced plans have waited long enough, or held runs expire.
        heartbeat_due: whether it is time for a heartbeat.
        taken: runs that it has claimed.
    """

    claims: bool
    pending_work: PendingWork
    finished: Sequence[Finished]
    returned: Sequence[ClaimedRun]
    reload: Reload | None
    clock_jumped: bool
    woken: Collection[str] = ()
    elsewhere: bool = False
    plannings: list[Planning] = field(default_factory=list)
    steps: list[tuple[StoredPlan, Advance]] = field(default_factory=list)
    replays: list[tuple[Replay, Planning | str]] = field(default_factory=list)
    timed: bool = False
    heartbeat_due: bool = False
    taken: Taken = field(default_factory=Taken)

    @property
    def to_plan(self) -> bool:
        """Whether there is something to plan, and this turn plans."""
        return self.claims and self.pending_work.to_plan

    @property
    def planned(self) -> bool:
        """Whether it makes plans or changes them."""
        return bool(self.plannings or self.steps or self.replays or self.timed)

    @property
    def waited(self) -> list[str]:
        """The planned syncs that have waited for what their live objects tell."""
        return [one.sync for one in self.plannings if one.was is SyncState.VERIFYING]

    @property
    def to_write(self) -> bool:
        """Whether there is something to store, claims left aside."""
        changed = self.finished or self.returned or self.planned or self.reload or self.woken
        return bool(changed or self.heartbeat_due or self.clock_jumped)

    @property
    def progressed(self) -> bool:
        """Whether it did something that may have made more to do."""
        done = self.planned or self.finished or self.taken.runs or self.reload
        return bool(done or self.clock_jumped)

    @property
    def lock_mode(self) -> LockMode:
        """What others must not do while it is written."""
        alone = self.planned or self.reload or self.clock_jumped
        return LockMode.EXCLUSIVE if alone else LockMode.SHARED

    def store(self, uow: UnitOfWork, owner: str) -> None:
        """Store what was prepared, and how attempts of this owner ended."""
        if self.reload:
            uow.events += store_reload(uow.connection, uow.now, self.reload)
        # Steps before outcomes: an outcome signals its plan, and a step that was worked out before
        # the signal would be discarded.
        if self.steps:
            store_advances(uow, self.steps)
        if self.finished:
            settled = [settle(item.run, item.outcome, uow.now) for item in self.finished]
            store_settlements(uow, owner, settled)
        if self.returned:
            give_back(uow, owner, self.returned, SLOW if self.claims else STOPPED)
            supersede_returned(uow, [run.id for run in self.returned])
        if self.woken:  # after the outcomes: one of them may have just become pending
            hurry(uow, self.woken)
        if self.timed:
            expire_held(uow)
            start_collected(uow)
        if self.plannings:
            store_plannings(uow, self.plannings)
        if self.replays:
            store_replays(uow, self.replays)
        uow.flush()
