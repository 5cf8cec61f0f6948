"""Moves the times of what is open along with a clock that was set, so that nobody waits for it."""

from __future__ import annotations

from sqlalchemy import text

from receiver.core.model import Event
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork

_MOVES = [
    text(f"UPDATE runs SET due_at = due_at + :jump WHERE {tables.SLEEPING_RUN}"),
    text(f"UPDATE runs SET first_attempt_at = first_attempt_at + :jump WHERE {tables.OPEN_RUN}"),
    text("UPDATE runs SET lease_until = lease_until + :jump WHERE state = 'running'"),
    text(f"UPDATE plans SET due_at = due_at + :jump WHERE {tables.COLLECTING_PLAN}"),
    text("UPDATE lanes SET blocked_until = blocked_until + :jump"),
]


def move_times(uow: UnitOfWork, jump: int) -> None:
    """Move what was worked out by the clock before it was set; ``jump`` in milliseconds.

    What has happened keeps the time that the clock showed then.
    """
    for move in _MOVES:
        uow.connection.execute(move, {"jump": jump})
    uow.events.append(Event("clock.jumped", {"seconds": jump / 1000}))
