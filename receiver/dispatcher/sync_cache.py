"""The syncs that were planned last: the next waves of their plans need them again soon."""

from __future__ import annotations

from collections import OrderedDict

from receiver.core.model import Sync
from receiver.ledger.plans.load import MOST_RESOURCES
from receiver.ledger.plans.records import StoredSync
from receiver.planning.planner import read_sync

KEPT_SYNCS = 64
"""Syncs cached: twice a turn's batch, since the next waves of a batch come together."""


class SyncCache:
    """Syncs as their notifications have them; the one that was used longest ago is dropped."""

    def __init__(self) -> None:
        self._syncs: OrderedDict[str, Sync] = OrderedDict()
        self._resources = 0  # of all of them

    def get(self, sync: str) -> Sync | None:
        """Return a sync, None if it is not here any more."""
        return self._syncs.get(sync)

    def read(self, stored: StoredSync) -> Sync:
        """Read a stored sync, and keep it."""
        sync = read_sync(stored)
        self.keep(sync)
        return sync

    def keep(self, sync: Sync) -> None:
        """Keep a sync that was read."""
        if known := self._syncs.pop(sync.id, None):
            self._resources -= len(known.resources)
        self._syncs[sync.id] = sync
        self._resources += len(sync.resources)
        while len(self._syncs) > 1 and (
            len(self._syncs) > KEPT_SYNCS or self._resources > MOST_RESOURCES
        ):
            self._resources -= len(self._syncs.popitem(last=False)[1].resources)
