"""The sign of life: a mark that the health page reads, and the leases of what is under way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from receiver.core.log_lines import lost_lines
from receiver.core.threads import deaths, thread_problems
from receiver.dispatcher.worker_pool import Crew
from receiver.ledger.audit.trail import labels
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queue.heartbeats import beat
from receiver.ledger.queue.leases import release_lost, renew

EVERY = 5.0
"""Seconds between two beats, unless the lease is so short that three would not fit into it."""


class Heartbeat:
    """Says when it is time to beat, and writes the beat. ``lease`` is in milliseconds."""

    def __init__(self, owner: str, lease: int) -> None:
        self._owner = owner
        self._lease = lease
        self._every = min(EVERY, lease / 3000)
        self._next = 0.0
        self._told = Counter[tuple[str, str]]()

    @property
    def wait(self) -> float:
        """Seconds until the next beat, not above 0 when it is due."""
        return self._next - time.monotonic()

    def store(self, uow: UnitOfWork, crew: Crew) -> None:
        """Write the beat, renew the leases of the crew's runs, let go of others' lost ones."""
        self._next = time.monotonic() + self._every
        beat(uow.connection, self._owner, uow.now, thread_problems(), crew.hanging)
        self._count(uow, crew.given_up)
        renew(uow.connection, uow.now, self._owner, self._lease, crew.alive())
        release_lost(uow)

    def _count(self, uow: UnitOfWork, given_up: Mapping[str, int]) -> None:
        """Have `/metrics` know what this process has counted since the last beat."""
        own = Counter[tuple[str, str]]()
        for thread, died in deaths().items():
            own["thread_deaths_total", labels(thread=thread)] = died
        for handler, times in given_up.items():
            own["attempts_hung_total", labels(handler=handler)] = times
        own["log_lines_lost_total", labels(process="dispatcher")] = lost_lines()
        uow.counts.update(own - self._told)
        self._told = own
