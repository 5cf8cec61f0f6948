"""The finished operations that a watch has told of, until it is known what became of each."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from receiver.argocd.objects import ApplicationSummary
from receiver.ledger.inbox.recovery import Operation
from receiver.notification.shapes import FINISHED

AGAIN = (10.0, 60.0, 600.0)
"""Seconds until the next try after each bug; one more leaves an operation to the next start."""

SETTLED = math.inf
"""When an operation is due of which it is known what became of it."""


class Sightings:
    """Filled by the thread that watches, emptied by the one that repairs.

    Args:
        grace: seconds from first sight until an operation is due: its notification has its turn.

    Attributes:
        since: what finished earlier is not acted upon, and not kept here.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._lock = threading.Lock()
        self._of: dict[str, dict[Operation, float]] = {}
        self._bugs: dict[Operation, int] = {}
        self.since = datetime.max.replace(tzinfo=UTC)

    def begin(self, since: datetime) -> None:
        """Have a new ``since``, and forget what is older: its Application may be gone unseen."""
        with self._lock:
            self.since = since
            for key, seen in [*self._of.items()]:
                kept = {
                    one: at for one, at in seen.items()
                    if (one.finished_at or one.started_at) >= since
                }  # fmt: skip
                self._of[key] = kept
                if not kept:
                    del self._of[key]
            left = {one for seen in self._of.values() for one in seen} if self._bugs else set()
            self._bugs = {one: bugs for one, bugs in self._bugs.items() if one in left}

    def note(self, summary: ApplicationSummary) -> None:
        """Take up what an Application says of its last operation, and of those before.

        One that it no longer tells of stays until it is settled: it was overwritten meanwhile.
        """
        told = () if summary.deleted else tuple(self._finished(summary))
        due = time.monotonic() + self._grace
        with self._lock:
            before = self._of.pop(summary.key, {})
            kept = {} if summary.deleted else {
                one: at for one, at in before.items() if at != SETTLED or one in told
            }  # fmt: skip
            for one in told:
                kept.setdefault(one, due)
            if kept:
                self._of[summary.key] = kept

    def due(self, most: int) -> list[Operation]:
        """Return operations whose time has come, those of one Application together."""
        now, found = time.monotonic(), list[Operation]()
        with self._lock:
            for seen in self._of.values():
                found += [one for one, at in seen.items() if at <= now]
                if len(found) >= most:
                    break
        return found

    def settle(self, operations: Iterable[Operation]) -> None:
        """Note that it is known what became of them."""
        self._set(operations, SETTLED)

    def unsettled(self) -> set[str]:
        """Return the Applications with operations of which it is not known yet."""
        with self._lock:
            return {
                key for key, seen in self._of.items() if any(at != SETTLED for at in seen.values())
            }

    def try_again(self, operations: Iterable[Operation]) -> None:
        """Have them due again later, a few times: what went wrong with them is a bug."""
        for one in operations:
            bugs = self._bugs.get(one, 0)
            self._bugs[one] = bugs + 1
            if bugs < len(AGAIN):
                self.postpone([one], AGAIN[bugs])
            else:
                self.settle([one])

    def postpone(self, operations: Iterable[Operation], seconds: float) -> None:
        """Have them due again later."""
        self._set(operations, time.monotonic() + seconds)

    def _set(self, operations: Iterable[Operation], due: float) -> None:
        with self._lock:
            for one in operations:
                if one in (seen := self._of.get(one.application, {})):
                    seen[one] = due

    def _finished(self, summary: ApplicationSummary) -> Iterator[Operation]:
        """Yield its operations that count: no dry run, none under way, none too old."""
        app = summary.namespace, summary.name, summary.uid
        start, end = summary.started_at, summary.finished_at
        for one in summary.deployed:
            if one != start and one >= self.since:
                yield Operation(*app, one)
        finished = summary.phase in FINISHED and not summary.dry_run
        if start and end and finished and end >= self.since:
            yield Operation(*app, start, end, summary.phase)
