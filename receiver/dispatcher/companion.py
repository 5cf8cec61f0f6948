"""What works beside the loop, in a thread of its own, because others are asked who may be slow."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log, write_event
from receiver.core.model import from_ms, rfc3339
from receiver.core.threads import SupervisedThread
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork

OTHERS = ""
"""In place of a sender: all that have no connection."""

IDLE = 5.0
"""Seconds until the ledger is looked at without a wake-up: for what another process has left."""

PATIENCE = 5.0
"""Seconds that a stop waits for what is being read; what comes of it later is lost, and read anew.
"""


class Companion(Protocol):
    """It finds its work in the ledger, stores what comes of it, and wakes the loop."""

    def start(self) -> None:
        """Begin; the rules that were last in force are known."""

    def notify(self) -> None:
        """Look at once: the loop has planned something."""

    def stop(self) -> None:
        """End soon; what is left waits in the ledger."""


class CompanionThread(ABC):
    """A companion that works in rounds.

    Args:
        name: what logs, metrics and the probe call its thread.
        ledger: where its work is found, and what comes of it stored.
        wake: called when the loop has something to do.
        log: gets the lines of the trail.
        pause: seconds between two rounds at least: the loop notifies at each turn that plans.
    """

    def __init__(
        self, name: str, ledger: Ledger, wake: Callable[[], None], log: Log, *, pause: float = 0.0
    ) -> None:
        self._ledger = ledger
        self._wake = wake
        self._log = log
        self._pause = pause
        self._woken = threading.Event()
        self._stopping = False
        self._thread = SupervisedThread(name, self._work)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def notify(self) -> None:
        """Look at once."""
        self._woken.set()

    def stop(self) -> None:
        """End after what is being read; what is left waits for the next process."""
        self._stopping = True
        self._woken.set()
        self._thread.join(timeout=PATIENCE)

    @abstractmethod
    def _round(self) -> float:
        """Do what there is to do; return the seconds until the next round."""

    def _work(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                wait = self._round()
            except LedgerUnavailable as error:
                self._log.error("ledger.unavailable", reason=str(error))
                wait = IDLE
            if not self._stopping:
                self._woken.wait(wait)
                time.sleep(self._pause)

    def _commit(
        self, write: Callable[[UnitOfWork], None], mode: LockMode = LockMode.SHARED
    ) -> None:
        """Store something in one transaction, wake the loop here and elsewhere, and log it."""
        with self._ledger.write(mode) as connection:
            uow = UnitOfWork(connection, self._ledger.now(connection))
            write(uow)
            uow.finish()
            self._ledger.notify(connection)
        self._wake()
        for event in uow.events:
            write_event(self._log, event, rfc3339(from_ms(uow.now)))
