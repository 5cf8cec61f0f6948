"""Group commit of what arrives: one thread writes, and each request waits for its commit.

SQLite syncs the disk once a commit, and several writers of one file starve each other (its
busy wait has no queue). So the requests' threads hand their arrivals to one writer, which
stores what has gathered in one transaction. A group that fails is tried again one by one, so
that a bad row fails only its own request; so is a sync that another process has just stored,
which is known as a duplicate the second time.
"""

from __future__ import annotations

import time
import zlib
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from sqlalchemy.exc import IntegrityError

from receiver.core.errors import LedgerUnavailable
from receiver.core.model import Event
from receiver.core.threads import SupervisedThread
from receiver.ledger.audit.trail import Committed, append_events
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.inbox.circuit_breaker import CircuitBreaker
from receiver.ledger.inbox.deliveries import Arrival, InboxRows, Receipt, known_syncs

COMMIT_TIMEOUT = 5.0
"""Seconds to wait for the commit; above the 4 that the intake waits for the ledger's lock."""

GROUP = 64
GROUP_BYTES = 8 << 20
"""Arrivals and bytes that end a group, so that large notifications do not delay many small ones."""

SEVERAL = 4
MOMENT = 0.002
"""Where a group had several arrivals, the next one waits so many seconds for what is on its way, as
PostgreSQL's commit_delay and commit_siblings do: with 16 senders at once, groups of 16 instead of 8
take a fifth less CPU each. Who sends alone waits for nobody."""

REFUSED_BYTES = 64 << 10
"""Of a body that could not be understood so much is kept, to look at; see also
`receiver.ledger.retention.delete` for how many of them."""


@dataclass(frozen=True, slots=True)
class _QueuedArrival:
    arrival: Arrival
    packed: bytes
    done: Future[Receipt] = field(default_factory=Future)


class IntakeWriter:
    """The one writer of the intake. Start it after the fork.

    ``reaches`` is whether there are tenants: which of them see a sync is noted down with it.
    """

    def __init__(self, ledger: Ledger, committed: Committed, *, reaches: bool = False) -> None:
        self._ledger = ledger
        self._committed = committed
        self._reaches = reaches
        self._queue: SimpleQueue[_QueuedArrival | None] = SimpleQueue()
        self._breaker = CircuitBreaker()
        self._over = False
        self._busy = False
        self._thread = SupervisedThread("intake-writer", self._work)

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Store what has been handed in, then end."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def submit(self, arrival: Arrival) -> Receipt:
        """Hand an arrival in and wait, at most `COMMIT_TIMEOUT`, until it is on disk.

        Raises:
            LedgerUnavailable: it was not stored; or that is not known yet, and the sender's
                next try will be recognised as a duplicate.
        """
        self._breaker.check()
        kept = arrival.body if arrival.notification else arrival.body[:REFUSED_BYTES]
        waiting = _QueuedArrival(arrival, zlib.compress(kept, 1))
        self._queue.put(waiting)
        try:
            return waiting.done.result(COMMIT_TIMEOUT)
        except FutureTimeout:
            waiting.done.cancel()
            message = f"the ledger took no write within {COMMIT_TIMEOUT:g} s"
            raise LedgerUnavailable(message) from None

    def _work(self) -> None:
        while not self._over and (first := self._queue.get()) is not None:
            group = self._gather(first)
            try:
                self._store(group)
            finally:
                _fail_unanswered(group)

    def _gather(self, first: _QueuedArrival) -> list[_QueuedArrival]:
        if self._busy:
            time.sleep(MOMENT)
        group, size = [first], len(first.packed)
        while len(group) < GROUP and size < GROUP_BYTES:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                self._over = True
                break
            group.append(waiting)
            size += len(waiting.packed)
        self._busy = len(group) >= SEVERAL
        return group

    def _store(self, group: list[_QueuedArrival]) -> None:
        group = [waiting for waiting in group if waiting.done.set_running_or_notify_cancel()]
        error = self._try(group) if group else None
        if error is None:
            return
        again = len(group) > 1 or isinstance(error.__cause__, IntegrityError)
        for waiting in group:
            failure = self._try([waiting]) if again and not self._breaker.failed else error
            if failure is not None:
                waiting.done.set_exception(_unavailable(failure))

    def _try(self, group: list[_QueuedArrival]) -> Exception | None:
        """Commit the group and answer its requests; return why it could not be committed."""
        try:
            receipts, events = self._commit(group)
        except Exception as error:  # noqa: BLE001 whatever it was, every request gets its answer
            return error
        for waiting, receipt in zip(group, receipts, strict=True):
            waiting.done.set_result(receipt)
        self._committed(group[-1].arrival.received_at, events)
        return None

    def _commit(self, group: list[_QueuedArrival]) -> tuple[list[Receipt], list[Event]]:
        with self._breaker.watch(), self._ledger.write(LockMode.APPEND) as connection:
            known = known_syncs(connection, [waiting.arrival for waiting in group])
            store = InboxRows(known, reaches=self._reaches)
            receipts = [store.add(waiting.arrival, waiting.packed) for waiting in group]
            store.write(connection)
            append_events(connection, self._ledger.now(connection), store.events)
            self._ledger.notify(connection)
        return receipts, store.events


def _fail_unanswered(group: list[_QueuedArrival]) -> None:
    """Fail the requests that have no answer yet, because the thread has raised."""
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(LedgerUnavailable("the intake's writer broke off"))


def _unavailable(error: Exception) -> LedgerUnavailable:
    if isinstance(error, LedgerUnavailable):
        return error
    return LedgerUnavailable(f"the notification could not be stored: {error}")
