"""What one turn of the loop has to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from receiver.dispatcher.rule_sets import Reload
from receiver.dispatcher.worker_pool import Finished
from receiver.ledger.engine.ledger import LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.replay import Replay, store_replays
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.plans.records import Advance, Planning, StoredPlan
from receiver.ledger.plans.start import start_collected
from receiver.ledger.plans.store import store_advances, store_plannings
from receiver.planning.retry import settle


@dataclass(slots=True)
class Work:
    """What one turn has to write."""

    finished: Sequence[Finished] = ()
    plannings: list[Planning] = field(default_factory=list)
    steps: list[tuple[StoredPlan, Advance]] = field(default_factory=list)
    replays: list[tuple[Replay, Planning | str]] = field(default_factory=list)
    reload: Reload | None = None
    collected: bool = False
    beat: bool = False
    jumped: bool = False

    @property
    def planned(self) -> bool:
        """Whether plans come out of it, or change."""
        return bool(self.plannings or self.steps or self.replays or self.collected)

    @property
    def hold(self) -> LockMode:
        """What others must not do while it is written."""
        return LockMode.EXCLUSIVE if self.planned or self.reload or self.jumped else LockMode.SHARED

    def store(self, uow: UnitOfWork, owner: str) -> None:
        """Store what was worked out, and how attempts of this owner ended."""
        # Steps before outcomes: these stir the plans that those were worked out for.
        if self.steps:
            store_advances(uow, self.steps)
        if self.finished:
            settled = [settle(item.run, item.outcome, uow.now) for item in self.finished]
            store_settlements(uow, owner, settled)
        if self.collected:
            start_collected(uow)
        if self.plannings:
            store_plannings(uow, self.plannings)
        if self.replays:
            store_replays(uow, self.replays)
        uow.flush()
