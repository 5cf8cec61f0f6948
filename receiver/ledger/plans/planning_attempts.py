"""What dispatchers have begun to plan: recorded before, deleted when the result is stored.

A record of another dispatcher was left by a process that ended meanwhile, and may have died of it:
the next one plans it alone, and counts the attempts.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, text

from receiver.ledger import tables

_START = text(
    "INSERT INTO planning_attempts (id, owner, attempts) VALUES (:id, :owner, 1) "
    "ON CONFLICT (id) DO UPDATE SET "
    "attempts = planning_attempts.attempts + "
    "CASE WHEN planning_attempts.owner = excluded.owner THEN 0 ELSE 1 END, "
    "owner = excluded.owner"
)


def left_by_others(connection: Connection, owner: str) -> dict[str, int]:
    """Return what other dispatchers have begun and not ended, with the number of attempts."""
    t = tables.planning_attempts.c
    rows = connection.execute(select(t.id, t.attempts).where(t.owner != owner))
    return {row.id: row.attempts for row in rows}


def record_start(connection: Connection, owner: str, ids: Iterable[str]) -> None:
    """Record that this dispatcher begins to plan these syncs, plans or replays."""
    rows = [{"id": one, "owner": owner} for one in ids]
    if rows:
        connection.execute(_START, rows)


def delete_own(connection: Connection, owner: str) -> None:
    """Delete the records of this dispatcher: it is alive, whatever came of what it has begun."""
    connection.execute(
        delete(tables.planning_attempts).where(tables.planning_attempts.c.owner == owner)
    )
