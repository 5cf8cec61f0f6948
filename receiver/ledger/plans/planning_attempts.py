"""What dispatchers have begun to plan: written before, struck out with what came of it.

What is left was begun by a process that has ended meanwhile. It may have died of it, so whoever
plans it next plans it alone, and counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, text

from receiver.ledger import tables

_BEGIN = text(
    "INSERT INTO planning_attempts (id, owner, attempts) VALUES (:id, :owner, 1) "
    "ON CONFLICT (id) DO UPDATE SET "
    "attempts = planning_attempts.attempts + "
    "CASE WHEN planning_attempts.owner = excluded.owner THEN 0 ELSE 1 END, "
    "owner = excluded.owner"
)


def left_over(connection: Connection, owner: str) -> dict[str, int]:
    """Return what others have begun and not ended, and how many of them."""
    t = tables.planning_attempts.c
    rows = connection.execute(select(t.id, t.attempts).where(t.owner != owner))
    return {row.id: row.attempts for row in rows}


def begin(connection: Connection, owner: str, ids: Iterable[str]) -> None:
    """Write down that this dispatcher begins to plan these syncs, plans or replays."""
    rows = [{"id": one, "owner": owner} for one in ids]
    if rows:
        connection.execute(_BEGIN, rows)


def strike(connection: Connection, owner: str) -> None:
    """Strike out what this dispatcher has begun: it is alive, whatever came of that."""
    connection.execute(
        delete(tables.planning_attempts).where(tables.planning_attempts.c.owner == owner)
    )
