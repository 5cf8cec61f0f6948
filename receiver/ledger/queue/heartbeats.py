"""The dispatchers' heartbeats in the ledger, by which others see which ones are alive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select

from receiver.ledger import tables
from receiver.ledger.audit.key_values import put_value

KEPT_MS = 3_600_000
"""How long the heartbeat of a dispatcher stays that is gone."""

_PREFIX = "heartbeat "


@dataclass(frozen=True, slots=True)
class DispatcherHeartbeat:
    """A dispatcher's heartbeat: its time in milliseconds, and its process's thread problems.

    ``hanging`` is how many of its attempts hang, ``rules`` the digest of the rule files that it
    plans by ("" if there are none), ``refused`` whether it has refused newer ones.
    """

    at: int
    thread_problems: Sequence[str] = ()
    hanging: int = 0
    rules: str = ""
    refused: bool = False


def write_heartbeat(connection: Connection, owner: str, beat: DispatcherHeartbeat) -> None:
    """Store a dispatcher's heartbeat."""
    put_value(connection, f"{_PREFIX}{owner}", asdict(beat))


def read_heartbeats(connection: Connection) -> dict[str, DispatcherHeartbeat]:
    """Return the last heartbeat of each dispatcher."""
    m = tables.key_values.c
    rows = connection.execute(select(m.name, m.value).where(m.name.startswith(_PREFIX)))
    return {
        row.name.removeprefix(_PREFIX): DispatcherHeartbeat(**json.loads(row.value)) for row in rows
    }


def delete_old_heartbeats(connection: Connection, now: int, *, alone: str = "") -> None:
    """Delete heartbeats of dispatchers that are long gone; all but that of ``alone``, if given."""
    old = [
        _PREFIX + owner
        for owner, last in read_heartbeats(connection).items()
        if owner != alone and (alone or last.at < now - KEPT_MS)
    ]
    if old:
        connection.execute(delete(tables.key_values).where(tables.key_values.c.name.in_(old)))
