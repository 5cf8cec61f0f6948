"""A wall clock that was set: notices it, and moves the times of what is open along with it."""

from __future__ import annotations

import time

from sqlalchemy import text

from receiver.core.model import Event
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork

DRIFT_MS = 60_000
"""A clock may be corrected by so much without anybody noticing; NTP steps by more only at a start.
"""

_SHIFTS = [
    text(f"UPDATE runs SET due_at = due_at + :jump WHERE {tables.SLEEPING_RUN}"),
    text(f"UPDATE runs SET first_attempt_at = first_attempt_at + :jump WHERE {tables.QUEUED_RUN}"),
    text(f"UPDATE runs SET lease_until = lease_until + :jump WHERE {tables.RUNNING_RUN}"),
    text(
        "UPDATE runs SET expires_at = expires_at + :jump, expiry_due_at = expiry_due_at + :jump "
        f"WHERE {tables.EXPIRING_RUN}"
    ),
    text(f"UPDATE plans SET due_at = due_at + :jump WHERE {tables.COLLECTING_PLAN}"),
    text(f"UPDATE plans SET due_at = due_at + :jump WHERE {tables.GATED_PLAN}"),
    text(f"UPDATE syncs SET verify_until = verify_until + :jump WHERE {tables.VERIFYING_SYNC}"),
    text("UPDATE throttle_windows SET ends_at = ends_at + :jump"),
    text("UPDATE lanes SET blocked_until = blocked_until + :jump"),
]


class ClockWatch:
    """Compares the ledger's clock with the monotonic one, which nobody sets."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def measure(self, now: int) -> int:
        """Return by how much the ledger's clock, which reads ``now``, was set since `restart`.

        In milliseconds, negative if it was set back; 0 for what may be drift.
        """
        if self._last is None:
            return 0
        ledger, monotonic = self._last
        jump = now - ledger - int((time.monotonic() - monotonic) * 1000)
        return jump if abs(jump) > DRIFT_MS else 0

    def restart(self, now: int) -> int:
        """Return the same, and measure from here on."""
        jump = self.measure(now)
        self._last = now, time.monotonic()
        return jump


def shift_times(uow: UnitOfWork, jump: int) -> None:
    """Move all times ahead by ``jump`` milliseconds, as the clock was.

    What has happened keeps the time that the clock read then.
    """
    for shift in _SHIFTS:
        uow.connection.execute(shift, {"jump": jump})
    uow.events.append(Event("clock.jumped", {"seconds": jump / 1000}))
