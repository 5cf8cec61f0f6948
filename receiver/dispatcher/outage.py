"""Tells once when a connection fails at what it is used for, and once when it works again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from receiver.argocd.connection import Connection
from receiver.core.logs import Log, write_event
from receiver.core.model import Event, Json, from_ms, rfc3339
from receiver.ledger.audit.trail import append_events, labels
from receiver.ledger.engine.ledger import Ledger, LockMode

BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds until a connection that failed is tried again; the last holds from then on."""

STEADY = 60.0
"""Seconds for which it has to work until the next failure is tried again as soon as a first one."""


class Outage:
    """For one use of a sender's connection, by one thread.

    Args:
        sender: whose connection.
        connection: it is named.
        use: what it is used for, for people: ``watch Applications``.
        ledger: of the trail.
        log: gets the trail's lines.
    """

    def __init__(
        self, sender: str, connection: Connection, use: str, ledger: Ledger, log: Log
    ) -> None:
        self._sender = sender
        self._about: dict[str, Json] = {"sender": sender, "connection": connection.name, "use": use}
        self._ledger = ledger
        self._log = log
        self._failing = False
        self._failures = 0
        self._works_since = time.monotonic()

    def failed(self, reason: str) -> float:
        """Count a failure, and tell the first one; return the seconds until the next try.

        Raises:
            LedgerUnavailable: it could not be told.
        """
        first = Event("connection.failed", {**self._about, "reason": reason})
        counted = Counter({("connection_failures_total", labels(sender=self._sender)): 1})
        self._store([] if self._failing else [first], counted)
        if not self._failing and time.monotonic() - self._works_since > STEADY:
            self._failures = 0
        self._failing = True
        wait = BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
        return wait

    def over(self) -> None:
        """Note that it works; told only after a failure.

        Raises:
            LedgerUnavailable: it could not be told.
        """
        if self._failing:
            self._store([Event("connection.restored", self._about)], Counter())
            self._failing, self._works_since = False, time.monotonic()

    def _store(self, events: Sequence[Event], counts: Counter[tuple[str, str]]) -> None:
        with self._ledger.write(LockMode.APPEND) as connection:
            now = self._ledger.now(connection)
            append_events(connection, now, events, counts)
        for one in events:
            write_event(self._log, one, rfc3339(from_ms(now)))
