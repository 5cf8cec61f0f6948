"""Whether there is anything to do, answered from the indexes alone, however much there is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from receiver.ledger import tables
from receiver.ledger.prepared import Prepared

_BACKLOG = Prepared(
    text(
        "SELECT"
        " EXISTS (SELECT 1 FROM pauses WHERE scope = 'all') AS paused,"
        f" (SELECT MIN(due_at) FROM runs WHERE {tables.SLEEPING_RUN}) AS next_due,"
        f" EXISTS (SELECT 1 FROM runs WHERE {tables.READY_RUN}) AS ready,"
        f" EXISTS (SELECT 1 FROM syncs WHERE syncs.{tables.NEW_SYNC}) AS new,"
        f" (SELECT MIN(due_at) FROM plans WHERE {tables.COLLECTING_PLAN}) AS next_collected,"
        f" (SELECT MIN(expiry_due_at) FROM runs WHERE {tables.EXPIRING_RUN}) AS next_expiring,"
        f" EXISTS (SELECT 1 FROM plans WHERE {tables.SIGNALLED_PLAN}) AS signalled,"
        f" EXISTS (SELECT 1 FROM replays WHERE {tables.READY_REPLAY}) AS replays"
    )
)
"""One statement, because each costs a round trip to a server, and every turn asks."""


@dataclass(frozen=True, slots=True)
class PendingWork:
    """What there is to do now, and when the next run becomes due (milliseconds).

    ``collected``: a plan has collected syncs for long enough; ``next_collected`` is its time.
    ``expiring``, ``next_expiring``: likewise of a held run that expires, or is about to.
    ``replays``: an operator wants a sync planned anew. While all is paused, nothing is ready
    and nothing becomes due. ``seen``: so it is of syncs that have waited, which the ledger does not
    know. ``left``: new syncs are left to a later turn while enough is ready.
    """

    now: int
    new: bool
    signalled: bool
    ready: bool
    next_due: int | None
    collected: bool = False
    next_collected: int | None = None
    expiring: bool = False
    next_expiring: int | None = None
    replays: bool = False
    left: bool = False
    seen: bool = False

    @property
    def to_plan(self) -> bool:
        """Whether there is something that one dispatcher alone does: to plan or to step."""
        return self.new or self.seen or self.signalled or self.timed or self.replays

    @property
    def timed(self) -> bool:
        """Whether the time of something has come that is no attempt."""
        return self.collected or self.expiring


def find_pending_work(connection: Connection, now: int) -> PendingWork:
    """Look, without a lock, whether a transaction is worth its while."""
    found = _BACKLOG.one(connection)
    next_due = None if found.paused else found.next_due
    return PendingWork(
        now=now,
        new=bool(found.new),
        signalled=bool(found.signalled),
        ready=not found.paused and (bool(found.ready) or _is_past(next_due, now)),
        next_due=next_due,
        collected=_is_past(found.next_collected, now),
        next_collected=found.next_collected,
        expiring=_is_past(found.next_expiring, now),
        next_expiring=found.next_expiring,
        replays=bool(found.replays),
    )


def _is_past(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now
