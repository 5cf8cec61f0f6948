"""What the loop and the threads that read live objects tell each other, in memory alone.

The loop leaves what it has worked out of a sync that it lets wait; whoever reads the sync's live
objects takes that up, and hands over what was seen, for the loop to plan. What was seen is stored
by the transaction that stores the plan. So it costs no commit of its own, which the intake would
wait for; and if the process ends before, the sync still waits, and is asked about again.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from receiver.core.model import Event, Sync
from receiver.dispatcher.observation import Asked
from receiver.ledger.plans.field_values import FieldUpdate
from receiver.ledger.plans.load import MOST_RESOURCES
from receiver.ledger.plans.records import StoredSync
from receiver.notification.live_verdicts import Observed
from receiver.planning.planner import Planner

MOST_KEPT = 256
"""Syncs that are kept as they were read; of others the notification is read again."""


@dataclass(frozen=True, slots=True)
class SeenSync:
    """What was seen of a sync, what is remembered after it, and the line of the trail about it.

    ``listed`` is the sync as its notification has it, None where it is planned from the ledger.
    """

    stored: StoredSync
    listed: Sync | None
    observed: Observed
    fields: FieldUpdate | None
    event: Event

    @property
    def id(self) -> str:
        """The sync's."""
        return self.stored.id


class Handover:
    """Safe to use by the loop and by the threads of all senders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Planner, Asked]] = {}
        self._resources = 0  # of all that are kept
        self._seen: dict[str, SeenSync] = {}

    def keep(self, planner: Planner, asked: Asked) -> None:
        """Keep a sync that is to wait as this planner has read it; the oldest are dropped."""
        with self._lock:
            self._drop(asked.stored.id)
            self._kept[asked.stored.id] = planner, asked
            self._resources += asked.stored.resources
            while self._resources > MOST_RESOURCES or len(self._kept) > MOST_KEPT:
                self._drop(next(iter(self._kept)))

    def kept(self, planner: Planner, sync: str) -> Asked | None:
        """Return a sync as it was read, None if it was not kept, or read by another planner."""
        with self._lock:
            by, asked = self._kept.get(sync, (None, None))
        return asked if by is planner else None

    def hand_over(self, seen: Iterable[SeenSync]) -> None:
        """Have syncs planned with what was seen."""
        with self._lock:
            self._seen |= {one.id: one for one in seen}

    def seen(self, limit: int) -> list[SeenSync]:
        """Return those that are to be planned, the first at most; they stay until `forget`."""
        found, resources = list[SeenSync](), 0
        with self._lock:
            for one in [*self._seen.values()][:limit]:
                resources += one.stored.resources
                if found and resources > MOST_RESOURCES:
                    break
                found.append(one)
        return found

    def unplanned(self, sender: str | None = None) -> Collection[str]:
        """Return the ids of those that are to be planned, of one sender or of all."""
        with self._lock:
            return [one.id for one in self._seen.values() if sender in {None, one.stored.sender}]

    def forget(self, syncs: Sequence[str]) -> None:
        """Forget all about syncs that are planned, or are planned without it."""
        with self._lock:
            for one in syncs:
                self._seen.pop(one, None)
                self._drop(one)

    def _drop(self, sync: str) -> None:
        if known := self._kept.pop(sync, None):
            self._resources -= known[1].stored.resources
