"""Tells once when what is used beside the loop fails, and once when it works again."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from receiver.argocd.connection import Connection
from receiver.core.logs import Log, write_event
from receiver.core.model import Event, Json, from_ms, rfc3339
from receiver.ledger.audit.connection_states import store_connection_state
from receiver.ledger.audit.trail import Counts, append_events, labels
from receiver.ledger.engine.ledger import Ledger, LockMode, Survives

BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds until what has failed is tried again; the last holds from then on."""

STEADY = 60.0
"""Seconds for which it has to work until the next failure is tried again as soon as a first one."""

SEEN_EVERY = 60.0
"""Seconds after which it is written again that a connection works."""


@dataclass(frozen=True, slots=True)
class ConnectionUse:
    """A sender's connection, by its name, and what it is used for, in words."""

    sender: str
    connection: str
    use: str


class Outage:
    """Of one thing that one thread uses.

    Args:
        events: what the trail calls it when it fails, and when it works again.
        about: names it on the trail.
        ledger: of the trail.
        log: gets the trail's lines.
        use: of a connection: its failures are counted, and the ledger has how it does.
    """

    def __init__(
        self, events: tuple[str, str], about: Mapping[str, Json], ledger: Ledger, log: Log, *,
        use: ConnectionUse | None = None,
    ) -> None:  # fmt: skip
        self._failed, self._restored = events
        self._about = dict(about)
        self._ledger = ledger
        self._log = log
        self._use = use
        self._counts: Counts = Counter()
        if use is not None:
            self._counts["connection_failures_total", labels(sender=use.sender)] = 1
        self._seen_at = -math.inf
        self._failing = False
        self._failures = 0
        self._works_since = time.monotonic()

    @classmethod
    def of_connection(
        cls, sender: str, connection: Connection, use: str, ledger: Ledger, log: Log
    ) -> Outage:
        """Return that of a sender's connection for one use, in words: ``watch Applications``."""
        return cls.of_use(ConnectionUse(sender, connection.name, use), ledger, log)

    @classmethod
    def of_use(cls, use: ConnectionUse, ledger: Ledger, log: Log) -> Outage:
        """Return that of one use of a connection."""
        events = ("connection.failed", "connection.restored")
        return cls(events, asdict(use), ledger, log, use=use)

    def failed(self, reason: str) -> float:
        """Count a failure, and tell the first one; return the seconds until the next try.

        Raises:
            LedgerUnavailable: it could not be told.
        """
        if self._use is not None:  # it is named beside the reason
            reason = reason.removeprefix(f"{self._use.connection}: ")
        first = Event(self._failed, {**self._about, "reason": reason})
        self._store([] if self._failing else [first], self._counts, reason)
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
            self._store([Event(self._restored, self._about)], Counter())
            self._failing, self._works_since = False, time.monotonic()
        elif self._use is not None and time.monotonic() - self._seen_at > SEEN_EVERY:
            self._store([], Counter())

    def _store(self, events: Sequence[Event], counts: Counts, reason: str = "") -> None:
        """Store what happened; of a connection also how it does, "" being well."""
        if not (events or counts or self._use):
            return
        survives: Survives = "power" if events or counts else "process"
        with self._ledger.write(LockMode.APPEND, survives=survives) as connection:
            now = self._ledger.now(connection)
            if self._use is not None:
                about = self._use.sender, self._use.use, self._use.connection
                again = store_connection_state(connection, now, *about, reason)
                if again and not events:  # another process had told of the failure
                    events = [Event(self._restored, self._about)]
            append_events(connection, now, events, counts)
        self._seen_at = time.monotonic()
        for one in events:
            write_event(self._log, one, rfc3339(from_ms(now)))
