"""The dispatchers' signs of life: a mark of each, by which others see who is there."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, select

from receiver.ledger import tables
from receiver.ledger.marks import put_mark

FORGOTTEN_MS = 3_600_000
"""How long the mark of a dispatcher stays that is gone."""

_PREFIX = "heartbeat "


def beat(connection: Connection, owner: str, now: int) -> None:
    """Give a sign of life; ``now`` in milliseconds."""
    put_mark(connection, f"{_PREFIX}{owner}", now)


def beats(connection: Connection) -> dict[str, int]:
    """Return when each dispatcher gave its last sign of life, in milliseconds."""
    m = tables.marks.c
    rows = connection.execute(select(m.name, m.value).where(m.name.startswith(_PREFIX)))
    return {row.name.removeprefix(_PREFIX): int(json.loads(row.value)) for row in rows}


def forget_beats(connection: Connection, now: int, *, alone: str = "") -> None:
    """Delete the marks of those who are gone for long; of all but one, if it is ``alone``."""
    old = [
        _PREFIX + owner
        for owner, at in beats(connection).items()
        if owner != alone and (alone or at < now - FORGOTTEN_MS)
    ]
    if old:
        connection.execute(delete(tables.marks).where(tables.marks.c.name.in_(old)))
