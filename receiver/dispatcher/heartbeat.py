"""The heartbeat: a row that `/healthz` reads, and the leases of the attempts under way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from receiver.core.logs import lost_lines
from receiver.core.threads import deaths, thread_problems
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.dispatcher.worker_pool import WorkerPool
from receiver.ledger.audit.trail import labels
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.ledger.queue.leases import release_lost, renew

EVERY = 5.0
"""Seconds between two heartbeats; a third of the lease where that is shorter."""


class Heartbeat:
    """Says when the next heartbeat is due, and writes it. ``lease`` is in milliseconds."""

    def __init__(self, owner: str, lease: int) -> None:
        self._owner = owner
        self._lease = lease
        self._every = min(EVERY, lease / 3000)
        self._next = 0.0
        self._counted = Counter[tuple[str, str]]()

    @property
    def wait(self) -> float:
        """Seconds until the next heartbeat, not above 0 when it is due."""
        return self._next - time.monotonic()

    def store(self, uow: UnitOfWork, pool: WorkerPool, rules: RulesInForce) -> None:
        """Write it, renew the leases of the runs under way here, release runs that others lost."""
        self._next = time.monotonic() + self._every
        beat = DispatcherHeartbeat(
            uow.now, thread_problems(), pool.hanging, rules.digest, rules.refused
        )
        write_heartbeat(uow.connection, self._owner, beat)
        self._count(uow, pool.given_up)
        renew(uow.connection, uow.now, self._owner, self._lease, pool.run_ids())
        release_lost(uow)

    def _count(self, uow: UnitOfWork, given_up: Mapping[str, int]) -> None:
        """Add what was counted here since the last heartbeat to the counters of `/metrics`."""
        own = Counter[tuple[str, str]]()
        for thread, died in deaths().items():
            own["thread_deaths_total", labels(process="dispatcher", thread=thread)] = died
        for handler, times in given_up.items():
            own["attempts_hung_total", labels(handler=handler)] = times
        own["log_lines_lost_total", labels(process="dispatcher")] = lost_lines()
        # A series begins at 0: of one that begins at 1 Prometheus would see no increase.
        uow.counts.update(dict.fromkeys(own.keys() - self._counted.keys(), 0))
        uow.counts.update(own - self._counted)
        self._counted = own
