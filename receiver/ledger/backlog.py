"""Says whether there is anything to do, by the indexes alone, however much there is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from receiver.ledger import tables
from receiver.ledger.pauses import all_paused_since

_NEXT = text(f"SELECT MIN(due_at) FROM runs WHERE {tables.SLEEPING_RUN}")
_READY = text(f"SELECT 1 FROM runs WHERE {tables.READY_RUN} LIMIT 1")
_NEW = text("SELECT 1 FROM syncs WHERE syncs.state = 'new' LIMIT 1")
_COLLECTED = text(f"SELECT MIN(due_at) FROM plans WHERE {tables.COLLECTING_PLAN}")
_STIRRED = text("SELECT 1 FROM plans WHERE stirred > 0 LIMIT 1")
_REPLAYS = text(f"SELECT 1 FROM replays WHERE {tables.ASKED_REPLAY} LIMIT 1")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What there is to do now, and when the next run becomes due (milliseconds).

    ``collected``: a plan has collected syncs for long enough; ``next_collected`` is its time.
    ``replays``: an operator wants a sync planned anew. While all is paused, nothing is ready
    and nothing becomes due.
    """

    now: int
    new: bool
    stirred: bool
    ready: bool
    next_due: int | None
    collected: bool = False
    next_collected: int | None = None
    replays: bool = False

    @property
    def to_plan(self) -> bool:
        """Whether there is something that one dispatcher alone does: to plan or to step."""
        return self.new or self.stirred or self.collected or self.replays


def backlog(connection: Connection, now: int) -> Backlog:
    """Look, without a lock, whether a transaction is worth its while."""
    paused = all_paused_since(connection) is not None
    next_due = None if paused else connection.scalar(_NEXT)
    next_collected = connection.scalar(_COLLECTED)
    return Backlog(
        now=now,
        new=connection.scalar(_NEW) is not None,
        stirred=connection.scalar(_STIRRED) is not None,
        ready=not paused and (connection.scalar(_READY) is not None or _come(next_due, now)),
        next_due=next_due,
        collected=_come(next_collected, now),
        next_collected=next_collected,
        replays=connection.scalar(_REPLAYS) is not None,
    )


def _come(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now
