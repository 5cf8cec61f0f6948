"""The retention thread: deletes what is old in slices, with pauses for others to write."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from receiver.core.errors import LedgerDamaged, LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.model import Event
from receiver.core.threads import SupervisedThread
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.vacuum import empty_log, shrink
from receiver.ledger.retention.job import RetentionJob
from receiver.ledger.retention.policy import Policy

EVERY = 60.0
"""Seconds between the end of a round and the next."""

SHARE = 5
"""A slice is followed by a pause, so that retention holds the ledger for one part in so many."""

SHORTEST_PAUSE = 0.02
"""Seconds of the shortest pause between two slices."""


class RetentionThread:
    """Deletes what the policy no longer keeps, frees the space, and empties the write-ahead log.

    ``emit`` gets lines of the trail that are committed, with their times in milliseconds.
    """

    def __init__(
        self, ledger: Ledger, policy: Policy, emit: Callable[[Event, int], None], log: Log, *,
        every: float = EVERY,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._policy = policy
        self._emit = emit
        self._log = log
        self._every = every
        self._stopped = threading.Event()
        self._thread = SupervisedThread("housekeeping", self._work)

    def start(self) -> None:
        """Start the thread; its first round begins at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the slice that is under way, and close the ledger."""
        self._stopped.set()
        self._thread.join(timeout=30)
        self._ledger.close()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self._round()
            except LedgerDamaged as error:
                self._log.error("ledger.damaged", reason=error.message, hint=error.hint)
            except LedgerUnavailable as error:
                self._log.error("ledger.unavailable", reason=str(error))
            except Exception:  # noqa: BLE001 what is wrong with one round may not be with the next
                self._log.error("ledger.bug", traceback=traceback.format_exc())
            self._stopped.wait(self._every)

    def _round(self) -> None:
        this = RetentionJob(self._ledger, self._policy)
        self._slowly(this.slices())
        if event := this.record("retention"):
            self._emit(*event)
        if isinstance(self._ledger, SqliteLedger):  # PostgreSQL does this by itself
            self._slowly(shrink(self._ledger))
            empty_log(self._ledger)

    def _slowly(self, slices: Iterable[Any]) -> None:
        began = time.monotonic()
        for _ in slices:
            took = time.monotonic() - began
            if self._stopped.wait(max(SHORTEST_PAUSE, took * (SHARE - 1))):
                return
            began = time.monotonic()
