"""Notices that the wall clock was set: the monotonic one tells how much time has really passed."""

from __future__ import annotations

import time

DRIFT_MS = 60_000
"""What a clock may be put right by without anybody noticing; NTP steps by more only at a start."""


class Clock:
    """Compares the ledger's clock with the monotonic one, from look to look."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def look(self, now: int) -> int:
        """Return by how much the ledger's clock, which shows ``now``, was set since the last time.

        In milliseconds, negative if it was set back; 0 for what may be drift.
        """
        if self._last is None:
            return 0
        shown, at = self._last
        jump = now - shown - int((time.monotonic() - at) * 1000)
        return jump if abs(jump) > DRIFT_MS else 0

    def jump(self, now: int) -> int:
        """Return the same, and go on from here."""
        found = self.look(now)
        self._last = now, time.monotonic()
        return found
