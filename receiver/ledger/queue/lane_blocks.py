"""Lanes that are blocked until a time, because the other side has answered that a limit is met.

A block holds for the whole lane, that is for one credential at one host: every other attempt
would meet the same limit, and many services count what they refuse as well.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork

_BLOCK = text(
    "INSERT INTO lanes (lane, blocked_until) VALUES (:lane, :until) "
    "ON CONFLICT (lane) DO UPDATE SET blocked_until = excluded.blocked_until "
    "WHERE excluded.blocked_until > lanes.blocked_until"
)
_PASSED = text("DELETE FROM lanes WHERE blocked_until <= :now")


def block_lane(uow: UnitOfWork, lane: str, until: int) -> None:
    """Let no attempt of the lane begin before that time (milliseconds)."""
    uow.add(_PASSED, {"now": uow.now})
    uow.add(_BLOCK, {"lane": lane, "until": until})


def blocked_lanes(connection: Connection, now: int) -> dict[str, int]:
    """Return the blocked lanes, and until when (milliseconds)."""
    t = tables.lanes.c
    rows = connection.execute(select(t.lane, t.blocked_until).where(t.blocked_until > now))
    return {row.lane: row.blocked_until for row in rows}
