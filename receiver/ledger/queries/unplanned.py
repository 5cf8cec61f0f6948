"""What is told of a sync that was not matched with any rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from receiver.core.states import SyncState
from receiver.core.validation import first_line
from receiver.ledger.queries.rows import Row
from receiver.ledger.queries.status import SILENCE, rules_in_force
from receiver.ledger.queue.heartbeats import beats


def tell_unplanned(connection: Connection, now: int, rows: Sequence[Row]) -> list[Row]:
    """Add to syncs that nobody has planned why that is so; how much they changed is not known."""
    why = ""
    told = []
    for row in rows:
        if row["state"] == SyncState.NEW.value:
            why = why or _why(connection, now)
            told.append(row | {"changed": None, "reason": why})
        elif row["state"] == SyncState.FAILED.value:
            told.append(row | {"changed": None})
        else:
            told.append(row)
    return told


def _why(connection: Connection, now: int) -> str:
    rules = rules_in_force(connection)
    if rules["digest"] is None and rules["refused"]:
        return f"not planned yet: no rules are in force: {first_line(rules['error'])}"
    if not any((now - one.at) / 1000 < SILENCE for one in beats(connection).values()):
        return "not planned yet: no dispatcher gives a sign of life"
    return "not planned yet"
