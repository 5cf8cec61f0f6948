"""The dispatchers' signs of life: a mark of each, by which others see who is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from receiver.ledger import tables
from receiver.ledger.audit.key_values import put_value

FORGOTTEN_MS = 3_600_000
"""How long the mark of a dispatcher stays that is gone."""

_PREFIX = "heartbeat "


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: when, in milliseconds, and what its process says is wrong with it.

    ``hanging`` is how many of its attempts hang.
    """

    at: int
    thread_problems: tuple[str, ...] = ()
    hanging: int = 0


def beat(
    connection: Connection,
    owner: str,
    now: int,
    thread_problems: Sequence[str] = (),
    hanging: int = 0,
) -> None:
    """Give a sign of life; see `Beat`."""
    mark = {"at": now, "thread_problems": list(thread_problems), "hanging": hanging}
    put_value(connection, f"{_PREFIX}{owner}", mark)


def beats(connection: Connection) -> dict[str, Beat]:
    """Return the last sign of life of each dispatcher."""
    m = tables.key_values.c
    rows = connection.execute(select(m.name, m.value).where(m.name.startswith(_PREFIX)))
    return {row.name.removeprefix(_PREFIX): _beat(json.loads(row.value)) for row in rows}


def forget_beats(connection: Connection, now: int, *, alone: str = "") -> None:
    """Delete the marks of those who are gone for long; of all but one, if it is ``alone``."""
    old = [
        _PREFIX + owner
        for owner, last in beats(connection).items()
        if owner != alone and (alone or last.at < now - FORGOTTEN_MS)
    ]
    if old:
        connection.execute(delete(tables.key_values).where(tables.key_values.c.name.in_(old)))


def _beat(mark: dict[str, Any]) -> Beat:
    return Beat(mark["at"], tuple(mark.get("thread_problems", ())), mark.get("hanging", 0))
