"""The sign of life: a mark that the health page reads, and the leases of what is under way."""

from __future__ import annotations

import time
from collections.abc import Sequence

from receiver.ledger.batch import Batch
from receiver.ledger.beats import beat
from receiver.ledger.events import labels
from receiver.ledger.leases import release_lost, renew
from receiver.threads import ailments, deaths

EVERY = 5.0
"""Seconds between two beats, unless the lease is so short that three would not fit into it."""


class Heartbeat:
    """Says when it is time to beat, and writes the beat. ``lease`` is in milliseconds."""

    def __init__(self, owner: str, lease: int) -> None:
        self._owner = owner
        self._lease = lease
        self._every = min(EVERY, lease / 3000)
        self._next = 0.0
        self._told: dict[str, int] = {}

    @property
    def wait(self) -> float:
        """Seconds until the next beat, not above 0 when it is due."""
        return self._next - time.monotonic()

    def store(self, batch: Batch, alive: Sequence[str]) -> None:
        """Write the beat, renew the leases of the runs ``alive``, let go of others' lost ones."""
        self._next = time.monotonic() + self._every
        beat(batch.connection, self._owner, batch.now, ailments())
        self._count_deaths(batch)
        renew(batch.connection, batch.now, self._owner, self._lease, alive)
        release_lost(batch)

    def _count_deaths(self, batch: Batch) -> None:
        """Count the threads that died since the last beat, so that `/metrics` knows of them."""
        died = deaths()
        for thread, times in died.items():
            if new := times - self._told.get(thread, 0):
                batch.counts["thread_deaths_total", labels(thread=thread)] += new
        self._told = died
